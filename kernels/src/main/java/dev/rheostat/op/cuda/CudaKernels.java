package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import dev.rheostat.cuda.CudaStream;
import dev.rheostat.op.Activation;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.DType;
import dev.rheostat.op.DeviceException;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import java.io.IOException;

/**
 * The ops that are kernels of ours alone: no products, so no cuBLAS. A backend has them on a stream of its own; {@link #on} gives
 * them to a program of JCuda, or of any other binding, on that program's stream and memory (docs/jcuda.md).
 *
 * <p>Calls return when their work is enqueued. One thread makes them, with the stream's context current.
 */
public final class CudaKernels implements AutoCloseable {
    private final CudaOps ops;

    CudaKernels(CudaOps ops) {
        this.ops = ops;
    }

    /**
     * On the device of the context that is current on this thread.
     * @param stream which its owner destroys, after {@link #close}
     * @throws DeviceException in one sentence: no context, a device or a driver that is too old, no kernels for it
     */
    public static CudaKernels on(CudaStream stream) {
        CudaApi api = stream.api();
        try {
            api.init();
            int device = api.contextDevice();
            DeviceFacts facts = DeviceFacts.of(api, device);
            CudaBackend.requireCapability(api.deviceName(device), facts.computeCapability());
            KernelImages.Image image = KernelImages.load();
            CudaDevice.requireDriver(api, image.cudaVersion());
            return new CudaKernels(
                    CudaOps.on(stream, facts, image.bytes(facts.computeCapability(), api.driverVersion())));
        } catch (IOException e) {
            throw new DeviceException(e.getMessage(), e);
        } catch (CudaException e) {
            throw CudaOps.failed(e);
        }
    }

    /**
     * Device memory of somebody else as a tensor. It must outlive the work that uses it.
     * @param address of the first byte, on the device; most ops want it on 16 bytes
     * @param shape row-major, the slowest axis first
     */
    public DeviceTensor tensor(long address, DType type, long... shape) {
        return DeviceTensor.of(address, type, shape);
    }

    /**
     * A weight: its f32 master, which AdamW moves, and the bf16 copy of it, which look-ups read.
     * @param master address of f32, on the device
     * @param copy address of as many bf16
     */
    public DeviceTensor weight(long master, long copy, long... shape) {
        return DeviceTensor.weight(master, copy, shape);
    }

    /** @throws IllegalArgumentException naming what of the shape, or of the device, the kernels do not take */
    public Attention<DeviceTensor> attention(AttentionShape shape) {
        return new CudaAttention(ops, shape);
    }

    /** Waits for the stream, as no call of an op does: the table of turns is copied. */
    public QkRotary<DeviceTensor> qkRotary(AttentionShape shape, QkRotary.Settings settings) {
        return new CudaQkRotary(ops, shape, settings);
    }

    public Norm<DeviceTensor> norm() {
        return new CudaNorm(ops);
    }

    public Activation<DeviceTensor> activation() {
        return new CudaActivation(ops);
    }

    public Embedding<DeviceTensor> embedding(long rows, long vocabulary, long width) {
        return new CudaEmbedding(ops, rows, vocabulary, width);
    }

    /** Losses, sums by domain and gradients of logits that a product has made: the loss head between its products. */
    public CudaLossKernel lossKernel(int vocabulary, int paddedVocabulary) {
        return new CudaLossKernel(ops, vocabulary, paddedVocabulary);
    }

    public AdamW<DeviceTensor> adamW(long parameterCount) {
        return new CudaAdamW(ops, parameterCount);
    }

    /** Unloads the kernels and frees the ops' scratch: for when the stream has done what they were asked. The stream stays. */
    @Override
    public void close() {
        ops.close();
    }
}
