package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.Positions;
import dev.rheostat.op.Activation;
import dev.rheostat.op.Attention;
import dev.rheostat.op.AttentionShape;
import dev.rheostat.op.Backend;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.Norm;
import dev.rheostat.op.QkRotary;
import dev.rheostat.op.Tensor;

/**
 * A pre-norm decoder of {@link ModelConfig}'s family, forward and backward, from tokens to the normed output that the
 * loss head reads. Every block is
 *
 * <pre>
 * x = x + out(attention(rotary(qkNorm(qkv(norm(x))))))
 * x = x + mlpOut(nonlinearity(mlpIn(norm(x))))
 * </pre>
 *
 * and each residual sum is taken by the product that ends its branch. All memory is planned here and allocated by the
 * constructor's callers before step 0. The shape and constants of the default are those of arXiv:2410.11820 as its
 * published code has them.
 */
public final class GptModel<X extends Tensor> {
    /** Of the norms inside blocks and of queries and keys. */
    static final float BLOCK_EPSILON = 1e-6f;
    /** Of the norm after the last block. */
    static final float FINAL_EPSILON = 1e-5f;

    private final Backend<X> backend;
    private final ModelConfig config;
    private final AttentionShape shape;
    private final Parameters<X> parameters;
    private final Activations<X> activations;
    private final Norm.Kind normKind;
    private final Gemm<X> gemm;
    private final Norm<X> norm;
    private final Embedding<X> embedding;
    private final Activation<X> nonlinearity;
    private final QkRotary<X> qkRotary;
    private final Attention<X> attention;
    private final String[] rangeOfLayer;

    private GptModel(
            Backend<X> backend,
            ModelConfig config,
            AttentionShape shape,
            Parameters<X> parameters,
            Activations<X> activations) {
        this.backend = backend;
        this.config = config;
        this.shape = shape;
        this.parameters = parameters;
        this.activations = activations;
        normKind = config.norm().op();
        QkRotary.Settings rotary = new QkRotary.Settings(
                config.positions() == Positions.ROTARY ? (float) config.rotaryBase() : 0, BLOCK_EPSILON);
        gemm = backend.gemm();
        norm = backend.norm();
        embedding = backend.embedding(shape.rows(), config.paddedVocabulary(), config.width());
        nonlinearity = backend.activation();
        qkRotary = backend.qkRotary(shape, rotary);
        attention = backend.attention(shape);
        rangeOfLayer = new String[config.layers()];
        for (int l = 0; l < rangeOfLayer.length; l++) rangeOfLayer[l] = "layer " + l;
    }

    /**
     * A model that keeps what {@link #backward} reads.
     * @param sequences of one micro-batch
     * @param tokens of a sequence, at most the model's context
     */
    public static <X extends Tensor> GptModel<X> forTraining(
            Backend<X> backend, ModelConfig config, Parameters<X> parameters, int sequences, int tokens) {
        AttentionShape shape = shape(config, sequences, tokens);
        return new GptModel<>(
                backend, config, shape, parameters, Activations.forTraining(backend, config, shape.rows()));
    }

    /** A model that only goes forward; its memory does not grow with its layers. */
    public static <X extends Tensor> GptModel<X> forInference(
            Backend<X> backend, ModelConfig config, Parameters<X> parameters, int sequences, int tokens) {
        AttentionShape shape = shape(config, sequences, tokens);
        return new GptModel<>(
                backend, config, shape, parameters, Activations.forInference(backend, config, shape.rows()));
    }

    private static AttentionShape shape(ModelConfig config, int sequences, int tokens) {
        if (tokens > config.context())
            throw new IllegalArgumentException(
                    "tokens=" + tokens + " is more than the model's context " + config.context());
        return new AttentionShape(sequences, tokens, config.heads(), config.kvHeads(), config.headWidth());
    }

    public ModelConfig config() {
        return config;
    }

    public Parameters<X> parameters() {
        return parameters;
    }

    /** Rows R of one pass. */
    public long rows() {
        return shape.rows();
    }

    /** What {@link #forward} has written, (R, C). */
    public X output_RC() {
        return activations.outputNormed_RC;
    }

    /**
     * Runs the model over R rows and leaves its normed output in {@link #output_RC}.
     * @param tokens_R i32, in [0, V)
     * @param docStart_R i32, null where documents are not told apart
     */
    public void forward(X tokens_R, X docStart_R) {
        backend.pushRange("forward");
        Activations<X> a = activations;
        embedding.forward(a.layers.getFirst().input_RC(), tokens_R, parameters.embedding_VpC(), positions(parameters));
        for (int l = 0; l < config.layers(); l++) {
            Activations.Layer<X> at = a.layers.get(l);
            Parameters.Layer<X> w = parameters.layers().get(l);
            backend.pushRange(rangeOfLayer[l]);

            norm.forward(
                    normKind,
                    at.attentionNormed_RC(),
                    at.attentionNormStats_R2(),
                    at.input_RC(),
                    w.attentionNormGain_C(),
                    w.attentionNormBias_C(),
                    BLOCK_EPSILON);
            gemm.linear(at.qkv_RW(), at.attentionNormed_RC(), w.qkvWeight_WC(), w.qkvBias_W(), null);
            qkRotary.forward(at.qk_RhD(), at.qkStats_Rh2(), at.qkv_RW(), w.qNormGain_D(), w.kNormGain_D());
            attention.forward(at.attended_RC(), at.lse_RH(), at.qk_RhD(), at.qkv_RW(), docStart_R);
            gemm.linear(at.middle_RC(), at.attended_RC(), w.outWeight_CC(), w.outBias_C(), at.input_RC());

            norm.forward(
                    normKind,
                    at.mlpNormed_RC(),
                    at.mlpNormStats_R2(),
                    at.middle_RC(),
                    w.mlpNormGain_C(),
                    w.mlpNormBias_C(),
                    BLOCK_EPSILON);
            gemm.linear(at.mlpIn_RI(), at.mlpNormed_RC(), w.mlpInWeight_IC(), w.mlpInBias_I(), null);
            if (config.mlp() == Mlp.SWIGLU) nonlinearity.swigluForward(at.mlpHidden_RF(), at.mlpIn_RI());
            else nonlinearity.geluForward(at.mlpHidden_RF(), at.mlpIn_RI());
            X output_RC = l + 1 < config.layers() ? a.layers.get(l + 1).input_RC() : a.output_RC;
            gemm.linear(output_RC, at.mlpHidden_RF(), w.mlpOutWeight_CF(), w.mlpOutBias_C(), at.middle_RC());
            backend.popRange();
        }
        norm.forward(
                normKind,
                a.outputNormed_RC,
                a.outputStats_R2,
                a.output_RC,
                parameters.finalNormGain_C(),
                parameters.finalNormBias_C(),
                FINAL_EPSILON);
        backend.popRange();
    }

    /**
     * The gradient of every parameter but the head's, added to {@code into} or written there, given the gradient of the output in
     * {@link Gradients#output_RC}. The model must be {@link #forTraining}, and the pass before this one the forward pass of
     * the same tokens; its pre-activations are overwritten.
     * @param accumulate whether gradients of linear layers' weights are added to; else they are written, whatever they held. The
     *     others are added to in any case
     */
    public void backward(Gradients<X> into, X tokens_R, X docStart_R, boolean accumulate) {
        Activations<X> a = activations;
        Parameters<X> d = into.parameters();
        Gradients.Buffers<X> b = into.buffers();
        X dx_RC = b.dx_RC(), dy_RC = b.dy_RC();
        backend.pushRange("backward");
        backend.zero(dx_RC);
        norm.backward(
                normKind,
                dx_RC,
                d.finalNormGain_C(),
                d.finalNormBias_C(),
                dy_RC,
                a.output_RC,
                a.outputStats_R2,
                parameters.finalNormGain_C());
        for (int l = config.layers() - 1; l >= 0; l--) {
            Activations.Layer<X> at = a.layers.get(l);
            Parameters.Layer<X> w = parameters.layers().get(l), dw = d.layers().get(l);
            backend.pushRange(rangeOfLayer[l]);

            // dx is the gradient of the block's output: of its residual stream and of its MLP branch alike.
            linearBackward(
                    b.dHidden_RF(),
                    dw.mlpOutWeight_CF(),
                    dw.mlpOutBias_C(),
                    dx_RC,
                    at.mlpHidden_RF(),
                    w.mlpOutWeight_CF(),
                    accumulate);
            X dMlpIn_RI = at.mlpIn_RI();
            if (config.mlp() == Mlp.SWIGLU) nonlinearity.swigluBackward(dMlpIn_RI, b.dHidden_RF(), at.mlpIn_RI());
            else nonlinearity.geluBackward(dMlpIn_RI, b.dHidden_RF(), at.mlpIn_RI());
            linearBackward(
                    dy_RC,
                    dw.mlpInWeight_IC(),
                    dw.mlpInBias_I(),
                    dMlpIn_RI,
                    at.mlpNormed_RC(),
                    w.mlpInWeight_IC(),
                    accumulate);
            norm.backward(
                    normKind,
                    dx_RC,
                    dw.mlpNormGain_C(),
                    dw.mlpNormBias_C(),
                    dy_RC,
                    at.middle_RC(),
                    at.mlpNormStats_R2(),
                    w.mlpNormGain_C());

            linearBackward(
                    dy_RC, dw.outWeight_CC(), dw.outBias_C(), dx_RC, at.attended_RC(), w.outWeight_CC(), accumulate);
            attention.backward(
                    b.dQk_RhD(),
                    b.dQkv_RW(),
                    dy_RC,
                    at.attended_RC(),
                    at.lse_RH(),
                    at.qk_RhD(),
                    at.qkv_RW(),
                    docStart_R);
            qkRotary.backward(
                    b.dQkv_RW(),
                    dw.qNormGain_D(),
                    dw.kNormGain_D(),
                    b.dQk_RhD(),
                    at.qkv_RW(),
                    at.qkStats_Rh2(),
                    w.qNormGain_D(),
                    w.kNormGain_D());
            linearBackward(
                    dy_RC,
                    dw.qkvWeight_WC(),
                    dw.qkvBias_W(),
                    b.dQkv_RW(),
                    at.attentionNormed_RC(),
                    w.qkvWeight_WC(),
                    accumulate);
            norm.backward(
                    normKind,
                    dx_RC,
                    dw.attentionNormGain_C(),
                    dw.attentionNormBias_C(),
                    dy_RC,
                    at.input_RC(),
                    at.attentionNormStats_R2(),
                    w.attentionNormGain_C());
            backend.popRange();
        }
        embedding.backward(d.embedding_VpC(), positions(d), dx_RC, tokens_R);
        backend.popRange();
    }

    /** Those of this model's T, which may be less than the context; null where there are none. */
    private X positions(Parameters<X> of) {
        return of.positions_TC() == null ? null : backend.view(of.positions_TC(), 0, shape.tokens(), config.width());
    }

    /** dx = dy W is written, dW = dy^T x written or added to, dBias added to. */
    private void linearBackward(X dx_RI, X dWeight_OI, X dBias_O, X dy_RO, X x_RI, X weight_OI, boolean accumulate) {
        gemm.tn(dWeight_OI, dy_RO, x_RI, accumulate);
        if (dBias_O != null) gemm.biasBackward(dBias_O, dy_RO);
        gemm.nn(dx_RI, dy_RO, weight_OI, false);
    }
}
