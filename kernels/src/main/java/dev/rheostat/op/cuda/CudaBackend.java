package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CublasLt;
import dev.rheostat.cuda.Cuda;
import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.cuda.Nvtx;
import dev.rheostat.cuda.jcuda.JCudaApi;
import dev.rheostat.ffi.load.NativeLibrary;
import dev.rheostat.op.Activation;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.Doors;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import dev.rheostat.op.StepIo;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An NVIDIA GPU: our kernels and cuBLASLt's products on one stream. Activations are bf16, weights bf16 copies of fp32 masters,
 * everything that adds up is fp32. Calls return when their work is enqueued.
 *
 * <p>One thread calls it; {@link #busy} and {@link #abandon} may be called by any.
 */
public final class CudaBackend implements Backend<DeviceTensor> {
    /** bf16 in the tensor cores (CUDA programming guide, compute capabilities). */
    private static final int OLDEST_CAPABILITY = 80;

    /** bf16 values that a thread reads at once. */
    private static final int OCTET = 8;

    /**
     * Of a device's memory, what a run leaves to the driver. It gives whole pages of 2 MiB, so that some hundred allocations take a few
     * hundred MiB more than they ask for, and loads kernels, ours and cuBLAS's, and graphs when they are first used.
     */
    private static final int SHARE_OF_THE_DRIVER = 64;

    /** A hundred times what the longest pass takes that a copy is enqueued behind. */
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    public enum Binding {
        FFM,
        JCUDA
    }

    /**
     * @param ordinal of the device
     * @param graph whether a {@link #program} is one graph, or enqueued call by call
     * @param products which algorithms they take
     * @param patience with a copy and all that it waits for, until the device is taken to hang
     */
    public record Settings(int ordinal, Binding binding, boolean graph, ProductChoices products, Duration patience) {
        public Settings(int ordinal, Binding binding, boolean graph, ProductChoices products) {
            this(ordinal, binding, graph, products, PATIENCE);
        }

        public Settings(int ordinal, Binding binding, boolean graph) {
            this(ordinal, binding, graph, ProductChoices.FIRST);
        }
    }

    /** @param detail the device, or every reason why it cannot be used, in one sentence */
    public record Availability(boolean usable, String detail) {}

    private final CudaDevice device; // null in a plan
    private final Settings settings;
    private final CudaOps ops;
    private final CudaKernels kernels;
    private final CudaElements elements;
    private final CudaGemm gemm;
    private final List<CudaProgram> programs = new ArrayList<>();
    private final String description;
    private volatile boolean abandoned;

    /** Whether some device of this process was left hanging. */
    private static volatile boolean leftHanging;

    private CudaBackend(CudaDevice device, CudaOps ops, Settings settings, String description) {
        this.device = device;
        this.ops = ops;
        this.settings = settings;
        kernels = new CudaKernels(ops);
        elements = new CudaElements(ops);
        gemm = new CudaGemm(ops, elements, settings.binding() == Binding.JCUDA, settings.products());
        this.description = description + "; products: " + gemm.describe() + "; "
                + (settings.graph() ? "one graph a step" : "kernel by kernel");
    }

    /** @throws DeviceException in one sentence: no driver, no such device, too old, busy, no kernels for it */
    public static CudaBackend open(Settings settings) {
        try {
            KernelImages.Image image = KernelImages.load();
            CudaDevice device = device(settings);
            try {
                CudaDevice.requireDriver(device.api(), image.cudaVersion());
                byte[] code =
                        image.bytes(device.computeCapability(), device.api().driverVersion());
                DeviceFacts facts = DeviceFacts.of(device.api(), device.api().device(settings.ordinal()));
                CudaOps ops = CudaOps.on(device, facts, code, settings.patience());
                try {
                    return new CudaBackend(device, ops, settings, device + "; kernels " + image.origin());
                } catch (RuntimeException e) {
                    ops.close();
                    throw e;
                }
            } catch (RuntimeException e) {
                device.close();
                throw e;
            }
        } catch (IOException e) {
            throw new DeviceException(e.getMessage(), e);
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        }
    }

    /**
     * A backend that makes the same tensors and ops without taking their memory: {@link #allocatedBytes} says what {@link #open}
     * would take, and running an op throws IllegalStateException. It asks the device for its size and takes nothing of it.
     */
    public static CudaBackend plan(Settings settings) {
        try {
            CudaApi api = api(settings.binding());
            CudaOps ops = CudaOps.ofPlan(api, DeviceFacts.of(api, api.device(settings.ordinal())));
            return new CudaBackend(null, ops, settings, "a plan of cuda:" + settings.ordinal());
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        }
    }

    private static CudaDevice device(Settings settings) {
        CudaDevice device = CudaDevice.open(api(settings.binding()), settings.ordinal());
        try {
            requireCapability(device.name(), device.computeCapability());
            return device;
        } catch (DeviceException e) {
            device.close();
            throw e;
        }
    }

    static void requireCapability(String deviceName, int capability) {
        if (capability < OLDEST_CAPABILITY)
            throw new DeviceException(deviceName + " has compute capability " + capability / 10 + "." + capability % 10
                    + ", and bf16 needs 8.0 (A100) or newer: use device: cpu");
    }

    private static CudaApi api(Binding binding) {
        return switch (binding) {
            case FFM -> Cuda.ffm();
            case JCUDA -> JCudaApi.open();
        };
    }

    /**
     * Whether a device can be used here, and if not why. Never throws. Of one that can the context stays for what comes next, unless
     * {@link #letGo} is called.
     */
    public static Availability availability(int ordinal) {
        try {
            KernelImages.Image image = KernelImages.load();
            CudaDevice device = HeldDevices.of(Cuda.ffm(), ordinal);
            requireCapability(device.name(), device.computeCapability());
            CudaDevice.requireDriver(device.api(), image.cudaVersion());
            image.bytes(device.computeCapability(), device.api().driverVersion());
            CublasLt.requireLibrary();
            return new Availability(true, device.toString());
        } catch (IOException | CudaException | DeviceException e) {
            letGo(ordinal);
            return new Availability(false, e.getMessage());
        }
    }

    /** Gives back what questions about a device have taken of it: where it is not used after all. */
    public static void letGo(int ordinal) {
        HeldDevices.letGo(ordinal);
    }

    /**
     * What of a model our kernels do not take, in a sentence; empty if they take it all.
     * @param widths C, F and whatever else is the width of rows
     */
    public static Optional<String> refusal(AttentionShape shape, long... widths) {
        int D = shape.headWidth(), T = shape.tokens();
        if (D != 64 && D != 128)
            return Optional.of("attention on a GPU takes head widths of 64 and 128, and this model's is " + D);
        if (T % OCTET != 0) return Optional.of("attention on a GPU takes multiples of " + OCTET + " tokens, not " + T);
        for (long width : widths)
            if (width % OCTET != 0)
                return Optional.of("kernels take rows of multiples of " + OCTET + " on a GPU, not of " + width);
        return Optional.empty();
    }

    /** Whether a device of compute capability 9.0 makes attention's backward pass by heads (attention_hopper_heads.cu), or by tiles. */
    public static boolean backwardByHeads(AttentionShape shape, int multiprocessors) {
        return HopperAttention.headsKeepBusy(shape, multiprocessors);
    }

    /** Device memory that a run could still take, beside what the driver needs for it. @throws DeviceException as open */
    public static long freeBytes(int ordinal) {
        try {
            CudaDevice device = HeldDevices.of(Cuda.ffm(), ordinal);
            return Math.max(0, device.freeBytes() - device.totalBytes() / SHARE_OF_THE_DRIVER);
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        }
    }

    /**
     * Ends the process. One that leaves a device hanging ends without the driver's exit handlers, of which nobody says that they do not
     * wait for the device; the system takes back what it held. Its streams must be flushed.
     */
    public static void endProcess(int code) {
        if (leftHanging) NativeLibrary.exitAtOnce(code);
        System.exit(code);
    }

    /** For tests of launches that no op makes. */
    CudaOps ops() {
        return ops;
    }

    /** Where every op is enqueued, for who times them or puts work of his own between them. @throws IllegalStateException in a plan */
    public CudaStream stream() {
        return ops.stream();
    }

    public CudaDevice device() {
        if (device == null) throw new IllegalStateException("a plan has no device");
        return device;
    }

    /** The loss head's kernel alone, without the products around it. */
    public CudaLossKernel lossKernel(int vocabulary, int paddedVocabulary) {
        return kernels.lossKernel(vocabulary, paddedVocabulary);
    }

    /** Nodes of each program's graph, by the program's name; of those that ran. */
    public Map<String, Long> graphNodes() {
        Map<String, Long> nodes = new LinkedHashMap<>();
        for (CudaProgram program : programs) if (program.recorded()) nodes.put(program.name(), program.nodes());
        return nodes;
    }

    @Override
    public String describe() {
        return description;
    }

    @Override
    public List<String> notes() {
        List<String> notes = new ArrayList<>();
        for (CudaProgram program : programs) program.note().ifPresent(notes::add);
        return notes;
    }

    @Override
    public Map<String, String> algorithms() {
        return gemm.algorithms();
    }

    @Override
    public DeviceTensor allocate(String purpose, DType type, long... shape) {
        return ops.allocate(purpose, type, shape);
    }

    @Override
    public DType activationType() {
        return DType.BF16;
    }

    @Override
    public DeviceTensor allocateWeights(String purpose, long count) {
        return ops.memory().allocateWeights(purpose, count);
    }

    @Override
    public DeviceTensor view(DeviceTensor base, long offset, long... shape) {
        return base.view(offset, shape);
    }

    @Override
    public MemorySegment allocateShared(String purpose, long bytes) {
        return ops.memory().allocateShared(purpose, bytes);
    }

    /** Of a weight its master is written, and its bf16 copy made from it. Waits until the source may be changed. */
    @Override
    public void upload(DeviceTensor destination, MemorySegment source) {
        sameBytes("upload", destination.bytes(), source.byteSize());
        ops.copies().toDevice(destination.address(), source);
        if (destination.isWeight() && source.byteSize() > 0) elements.round(destination.compute(), destination);
    }

    @Override
    public void download(MemorySegment destination, DeviceTensor source) {
        sameBytes("download", destination.byteSize(), source.bytes());
        if (destination.byteSize() == 0) ops.copies().await("earlier work");
        ops.copies().toHost(destination, source.address());
    }

    private static void sameBytes(String what, long to, long from) {
        if (to != from) throw new IllegalArgumentException(what + " of " + from + " bytes into " + to + " bytes");
    }

    @Override
    public void zero(DeviceTensor x) {
        ops.zero(x);
    }

    @Override
    public void copy(DeviceTensor destination, DeviceTensor source) {
        Doors.DEVICE.copy(destination, source);
        if (ops.rehearsing()) return;
        CudaOps.guarded(() -> ops.api()
                .copyOnDevice(
                        destination.address(),
                        source.address(),
                        source.bytes(),
                        ops.stream().handle()));
    }

    @Override
    public void add(DeviceTensor y, DeviceTensor x) {
        elements.add(y, x);
    }

    @Override
    public Map<String, Long> allocatedBytes() {
        return Collections.unmodifiableMap(ops.memory().bytesByPurpose());
    }

    @Override
    public Gemm<DeviceTensor> gemm() {
        return gemm;
    }

    @Override
    public Norm<DeviceTensor> norm() {
        return kernels.norm();
    }

    @Override
    public Embedding<DeviceTensor> embedding(long rows, long vocabulary, long width) {
        return kernels.embedding(rows, vocabulary, width);
    }

    @Override
    public Activation<DeviceTensor> activation() {
        return kernels.activation();
    }

    @Override
    public QkRotary<DeviceTensor> qkRotary(AttentionShape shape, QkRotary.Settings settings) {
        return kernels.qkRotary(shape, settings);
    }

    @Override
    public Attention<DeviceTensor> attention(AttentionShape shape) {
        return kernels.attention(shape);
    }

    @Override
    public LossHead<DeviceTensor> lossHead(LossHead.Shape shape) {
        return new CudaLossHead(ops, gemm, shape);
    }

    @Override
    public AdamW<DeviceTensor> adamW(long parameterCount) {
        return kernels.adamW(parameterCount);
    }

    @Override
    public StepIo<DeviceTensor> stepIo(StepIo.Rings rings) {
        return new CudaStepIo(ops, rings);
    }

    @Override
    public Runnable program(String name, Runnable calls) {
        CudaProgram program = new CudaProgram(ops, name, calls, settings.graph());
        programs.add(program);
        return program;
    }

    @Override
    public void pushRange(String name) {
        Nvtx.push(name);
    }

    @Override
    public void popRange() {
        Nvtx.pop();
    }

    @Override
    public void capture(boolean on) {
        ops.copies().await("what a profiler captures");
        CudaOps.guarded(() -> {
            if (on) ops.api().profilerStart();
            else ops.api().profilerStop();
        });
    }

    @Override
    public boolean busy() {
        try {
            device.bind();
            return !ops.stream().idle();
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        }
    }

    @Override
    public void abandon() {
        abandoned = true;
    }

    @Override
    public void close() {
        if (abandoned || ops.hangs()) { // freeing memory waits for the kernels that use it
            leftHanging = true;
            return;
        }
        programs.forEach(CudaProgram::close);
        gemm.close();
        ops.close();
        if (device != null) device.close();
    }
}
