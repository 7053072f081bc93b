package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;

/**
 * What a backward pass writes: the parameters' gradients, summed over micro-batches, and the buffers through which the
 * gradient of the activations travels, shared by all blocks.
 */
public final class Gradients<X extends Tensor> {
    private final Backend<X> backend;
    private final Parameters<X> parameters;
    private final Buffers<X> buffers;

    /** Allocates them, zeroed. @param rows R of one micro-batch */
    public Gradients(Backend<X> backend, ModelConfig config, long rows) {
        this.backend = backend;
        parameters = Parameters.of(backend, "gradients", config);
        buffers = Buffers.allocate(backend, config, rows);
    }

    /**
     * @param dx_RC of the residual stream
     * @param dy_RC of what a norm put out, or of the heads' outputs
     */
    record Buffers<X extends Tensor>(X dx_RC, X dy_RC, X dHidden_RF, X dQk_RhD, X dQkv_RW) {
        static <X extends Tensor> Buffers<X> allocate(Backend<X> backend, ModelConfig config, long R) {
            long C = config.width();
            long qkWidth = (long) (config.heads() + config.kvHeads()) * config.headWidth();
            DType flowing = backend.activationType();
            return new Buffers<>(
                    backend.allocate(Activations.PURPOSE, flowing, R, C),
                    backend.allocate(Activations.PURPOSE, flowing, R, C),
                    backend.allocate(Activations.PURPOSE, flowing, R, config.mlpWidth()),
                    backend.allocate(Activations.PURPOSE, flowing, R, qkWidth),
                    backend.allocate(Activations.PURPOSE, flowing, R, config.qkvWidth()));
        }
    }

    public Parameters<X> parameters() {
        return parameters;
    }

    /**
     * Before a step's first micro-batch: zeroes what backward passes only ever add to. Its gradients of products' weights are
     * written over those of the step before.
     */
    public void clear() {
        if (parameters.others_M() != null) backend.zero(parameters.others_M());
    }

    Buffers<X> buffers() {
        return buffers;
    }

    /** Where the loss head writes the gradient of the model's output, before {@link GptModel#backward}. */
    public X output_RC() {
        return buffers.dy_RC();
    }
}
