package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * What a forward pass writes, for the R rows of one micro-batch. For training each block has its own set, since backward
 * reads them all; for inference one set serves every block.
 */
final class Activations<X extends Tensor> {
    /** For the memory plan. */
    static final String PURPOSE = "activations";

    /**
     * One block. Tensors that are null belong to options that the model has not.
     * @param input_RC the residual stream before the block
     * @param middle_RC the residual stream between attention and MLP
     * @param attended_RC heads' outputs, side by side
     * @param mlpIn_RI before the nonlinearity; backward leaves its gradient in the same memory
     */
    record Layer<X extends Tensor>(
            X input_RC,
            X attentionNormed_RC,
            X attentionNormStats_R2,
            X qkv_RW,
            X qk_RhD,
            X qkStats_Rh2,
            X attended_RC,
            X lse_RH,
            X middle_RC,
            X mlpNormed_RC,
            X mlpNormStats_R2,
            X mlpIn_RI,
            X mlpHidden_RF) {}

    final List<Layer<X>> layers;
    /** The residual stream after the last block, and its norm. */
    final X output_RC, outputNormed_RC, outputStats_R2;

    private Activations(Backend<X> backend, List<Layer<X>> layers, long R, long C) {
        this.layers = layers;
        DType flowing = backend.activationType();
        output_RC = backend.allocate(PURPOSE, flowing, R, C);
        outputNormed_RC = backend.allocate(PURPOSE, flowing, R, C);
        outputStats_R2 = backend.allocate(PURPOSE, DType.F32, R, 2);
    }

    static <X extends Tensor> Activations<X> forTraining(Backend<X> backend, ModelConfig config, long rows) {
        List<Layer<X>> layers = new ArrayList<>();
        for (int l = 0; l < config.layers(); l++) layers.add(layer(backend, config, rows));
        return new Activations<>(backend, layers, rows, config.width());
    }

    static <X extends Tensor> Activations<X> forInference(Backend<X> backend, ModelConfig config, long rows) {
        List<Layer<X>> layers = Collections.nCopies(config.layers(), layer(backend, config, rows));
        return new Activations<>(backend, layers, rows, config.width());
    }

    private static <X extends Tensor> Layer<X> layer(Backend<X> backend, ModelConfig config, long R) {
        long C = config.width(), h = config.heads() + config.kvHeads();
        DType flowing = backend.activationType();
        return new Layer<>(
                backend.allocate(PURPOSE, flowing, R, C),
                backend.allocate(PURPOSE, flowing, R, C),
                backend.allocate(PURPOSE, DType.F32, R, 2),
                backend.allocate(PURPOSE, flowing, R, config.qkvWidth()),
                backend.allocate(PURPOSE, flowing, R, h * config.headWidth()),
                config.qkNorm() ? backend.allocate(PURPOSE, DType.F32, R, h, 2) : null,
                backend.allocate(PURPOSE, flowing, R, C),
                backend.allocate(PURPOSE, DType.F32, R, config.heads()),
                backend.allocate(PURPOSE, flowing, R, C),
                backend.allocate(PURPOSE, flowing, R, C),
                backend.allocate(PURPOSE, DType.F32, R, 2),
                backend.allocate(PURPOSE, flowing, R, config.mlpInWidth()),
                backend.allocate(PURPOSE, flowing, R, config.mlpWidth()));
    }
}
