package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaKernel;
import dev.rheostat.cuda.CudaModule;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.KernelAttribute;
import dev.rheostat.cuda.TensorMap;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/**
 * What every launcher is given: memory, facts of the device, and kernels to enqueue on the one stream of a backend. In a plan
 * there is no stream: memory is only counted, and a kernel cannot be had.
 */
final class CudaOps implements AutoCloseable {
    /** What a block may have without asking (CUDA programming guide, shared memory of compute capability 8.0). */
    private static final int SHARED_BYTES_WITHOUT_ASKING = 48 << 10;

    private static final int WGMMA_CAPABILITY = 90;
    private static final String A_WGMMA_KERNEL = "attention_hopper_forward_64";

    /** A kernel and how much dynamic shared memory it was allowed so far. */
    static final class Loaded {
        private final CudaKernel kernel;
        private int allowed = SHARED_BYTES_WITHOUT_ASKING;

        private Loaded(CudaKernel kernel) {
            this.kernel = kernel;
        }

        CudaKernel kernel() {
            return kernel;
        }

        void allow(int sharedBytes) {
            if (sharedBytes <= allowed) return;
            kernel.allowSharedBytes(sharedBytes);
            allowed = sharedBytes;
        }
    }

    private final CudaApi api;
    private final CudaStream stream;
    private final CudaModule module;
    private final DeviceMemory memory;
    private final Map<String, Loaded> kernels = new HashMap<>();
    private final KernelCall call = new KernelCall(this);
    private final DeviceFacts facts;
    private final HostCopies copies; // null in a plan and on a stream of somebody else
    private boolean rehearsing;

    private CudaOps(CudaApi api, DeviceFacts facts, CudaStream stream, CudaModule module, HostCopies copies) {
        this.api = api;
        this.facts = facts;
        this.stream = stream;
        this.module = module;
        this.copies = copies;
        memory = new DeviceMemory(api, stream);
    }

    /**
     * @param image of all kernels
     * @param patience what a copy may take
     */
    static CudaOps on(CudaDevice device, DeviceFacts facts, byte[] image, Duration patience) {
        CudaApi api = device.api();
        CudaStream stream = new CudaStream(api);
        CudaModule module = null;
        try {
            module = new CudaModule(api, image);
            return new CudaOps(api, facts, stream, module, new HostCopies(device, stream, patience));
        } catch (CudaException e) {
            if (module != null) module.close();
            stream.close();
            throw e;
        }
    }

    /** On a stream of somebody else, who copies by himself: there are no {@link #copies}. Its context must be current. */
    static CudaOps on(CudaStream stream, DeviceFacts facts, byte[] image) {
        return new CudaOps(stream.api(), facts, stream, new CudaModule(stream.api(), image), null);
    }

    /** Needs no context. */
    static CudaOps ofPlan(CudaApi api, DeviceFacts facts) {
        return new CudaOps(api, facts, null, null, null);
    }

    /** The sentence of a refusal of the driver, as the seam throws it. */
    static DeviceException failed(CudaException e) {
        return new DeviceException(e.getMessage(), e);
    }

    /** None of what we own throws checked exceptions from close. */
    static void close(AutoCloseable resource) {
        try {
            resource.close();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    DeviceMemory memory() {
        return memory;
    }

    CudaApi api() {
        return api;
    }

    /** @throws IllegalStateException in a plan */
    CudaStream stream() {
        if (stream == null) throw new IllegalStateException("a plan computes nothing");
        return stream;
    }

    boolean planned() {
        return stream == null;
    }

    /** Copies from and to memory of the host, on a stream of ours. @throws IllegalStateException in a plan */
    HostCopies copies() {
        stream();
        return copies;
    }

    /** A table that an op is made with. Waits until it is there. @param source of as many bytes as the table has */
    void fill(DeviceTensor table, MemorySegment source) {
        if (copies != null) copies.toDevice(table.address(), source);
        else
            guarded(() -> {
                api.copyToDevice(table.address(), source.address(), source.byteSize(), stream.handle());
                stream.synchronize();
            });
    }

    /** Whether who waited for the device has given up: freeing anything of it would wait, too. */
    boolean hangs() {
        return copies != null && copies.hang();
    }

    /**
     * Makes calls without their effects, so that all they need is loaded before they are recorded: drivers load kernels when they
     * are first used, and a stream that records is no place for that. Products do run: only that loads a library's kernels.
     * What they write is memory that the calls write anyway before they read it.
     */
    void rehearse(Runnable calls) {
        rehearsing = true;
        try {
            calls.run();
        } finally {
            rehearsing = false;
        }
    }

    boolean rehearsing() {
        return rehearsing;
    }

    /** Zeroed memory. @throws dev.rheostat.op.OutOfMemoryException naming purpose, size and what was free */
    DeviceTensor allocate(String purpose, DType type, long... shape) {
        return memory.allocate(purpose, type, shape);
    }

    /** Where the device sees memory that it shares with the host; 0 in a plan. */
    long sharedDeviceAddress(MemorySegment shared) {
        return memory.deviceAddress(shared);
    }

    int multiprocessors() {
        return facts.multiprocessors();
    }

    /** Most dynamic shared memory that a block can have. */
    int sharedBytesPerBlock() {
        return facts.sharedBytesPerBlock();
    }

    /**
     * Whether kernels of compute capability 9.0 alone run: those with wgmma, which no newer device has, and tensor copies. What was
     * compiled for an older one, as an image that the user names may be, has them empty.
     */
    boolean hasWgmma() {
        if (facts.computeCapability() != WGMMA_CAPABILITY || !TensorMap.available()) return false;
        return planned() || loaded(A_WGMMA_KERNEL).kernel.attribute(KernelAttribute.PTX_VERSION) >= WGMMA_CAPABILITY;
    }

    void zero(DeviceTensor x) {
        if (x.bytes() > 0 && !rehearsing)
            guarded(() -> api.memset8(x.address(), (byte) 0, x.bytes(), stream().handle()));
    }

    /** Runs calls of the driver. @throws DeviceException in place of its exception */
    static void guarded(Runnable calls) {
        try {
            calls.run();
        } catch (CudaException e) {
            throw failed(e);
        }
    }

    /** A launch of a kernel, one at a time. @throws DeviceException if the image has no such kernel */
    KernelCall kernel(String name) {
        stream();
        return call.of(loaded(name));
    }

    private Loaded loaded(String name) {
        Loaded loaded = kernels.get(name);
        if (loaded == null) {
            try {
                loaded = new Loaded(module.kernel(name));
                loaded.kernel.registers(); // loads it
            } catch (CudaException e) {
                throw failed(e);
            }
            kernels.put(name, loaded);
        }
        return loaded;
    }

    @Override
    public void close() {
        if (copies != null) copies.close();
        memory.close();
        call.close();
        if (module != null) module.close();
        if (stream != null) stream.close();
    }
}
