package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.RheostatException;
import dev.rheostat.model.CounterRandom;
import dev.rheostat.model.GptModel;
import dev.rheostat.model.Parameters;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Continues a text one token at a time. Each token is a forward pass over the whole window: nothing is cached between
 * tokens, so a token costs what a window costs. A text longer than the window is continued from its last tokens.
 */
public final class Generator<X extends Tensor> {
    /**
     * How a token is drawn from the logits.
     * @param temperature logits are divided by it; 0 takes the likeliest token, the lowest id among equals
     * @param topK only so many likeliest tokens may be drawn; 0 for all
     * @param seed draws are a function of it and of the token's number
     */
    public record Sampling(double temperature, int topK, long seed) {
        public Sampling {
            if (!(temperature >= 0) || Double.isInfinite(temperature) || topK < 0)
                throw new IllegalArgumentException(
                        "temperature=" + temperature + " topK=" + topK + "; both must be finite and not negative");
        }
    }

    private final Backend<X> backend;
    private final GptModel<X> model;
    private final int window;
    private final X tokens_T;
    private final X head_VC;
    private final X logits_1V;
    private final MemorySegment tokens;
    private final MemorySegment logits;
    private final Runnable forward;

    /** @param window tokens that the model sees at once, at most its context; fewer make a token cheaper */
    public Generator(Backend<X> backend, ModelConfig config, Parameters<X> parameters, int window) {
        this.backend = backend;
        this.window = window;
        model = GptModel.forInference(backend, config, parameters, 1, window);
        tokens_T = backend.allocate("generation", DType.I32, window);
        // The padding rows are left out, so that no padding id can win.
        head_VC = backend.view(parameters.head_VpC(), 0, config.vocabulary(), config.width());
        logits_1V = backend.allocate("generation", DType.F32, 1, config.vocabulary());
        tokens = backend.allocateShared("generation", 4L * window);
        logits = backend.allocateShared("generation", 4L * config.vocabulary());
        forward = backend.program("generation", () -> model.forward(tokens_T, null));
    }

    /**
     * The tokens that follow the prompt, {@code count} of them, or fewer where {@code stopToken} comes first; that token is
     * not among them.
     * @param prompt at least one token
     * @param stopToken the end-of-text id; -1 for none
     */
    public int[] generate(int[] prompt, int count, int stopToken, Sampling sampling) {
        if (prompt.length == 0) throw new IllegalArgumentException("the prompt has no token to continue from");
        int[] text = Arrays.copyOf(prompt, prompt.length + count);
        long key = CounterRandom.key(sampling.seed(), "generate");
        for (int i = 0; i < count; i++) {
            float[] logit_V = logitsAfter(text, prompt.length + i);
            int token = draw(logit_V, sampling, CounterRandom.uniform(key, i));
            if (token == stopToken) return Arrays.copyOfRange(text, prompt.length, prompt.length + i);
            text[prompt.length + i] = token;
        }
        return Arrays.copyOfRange(text, prompt.length, text.length);
    }

    /** Of the token that follows the first {@code length} tokens. Rows after them hold other tokens, which no row before sees. */
    private float[] logitsAfter(int[] text, int length) {
        int seen = Math.min(length, window);
        MemorySegment.copy(text, length - seen, tokens, JAVA_INT, 0, seen);
        backend.upload(tokens_T, tokens);
        forward.run();
        long C = model.config().width();
        X last_1C = backend.view(model.output_RC(), (seen - 1) * C, 1, C);
        backend.gemm().nt(logits_1V, last_1C, head_VC, false);
        backend.download(logits, logits_1V);
        return logits.toArray(JAVA_FLOAT);
    }

    /** @param uniform in (0, 1) */
    static int draw(float[] logit_V, Sampling sampling, double uniform) {
        int best = 0;
        for (int v = 0; v < logit_V.length; v++) {
            if (!Float.isFinite(logit_V[v]))
                throw new RheostatException(
                        RheostatException.Kind.DAMAGED,
                        "the weights give token " + v + " the logit " + logit_V[v]
                                + ": take an earlier checkpoint of this run");
            if (logit_V[v] > logit_V[best]) best = v;
        }
        if (sampling.temperature() == 0) return best;
        float least = sampling.topK() == 0 || sampling.topK() >= logit_V.length
                ? Float.NEGATIVE_INFINITY
                : kthLargest(logit_V, sampling.topK());
        double[] weight_V = new double[logit_V.length];
        double total = 0;
        for (int v = 0; v < logit_V.length; v++) {
            if (logit_V[v] < least) continue;
            weight_V[v] = StrictMath.exp((logit_V[v] - (double) logit_V[best]) / sampling.temperature());
            total += weight_V[v];
        }
        double left = uniform * total;
        for (int v = 0; v < weight_V.length; v++) {
            left -= weight_V[v];
            if (left < 0) return v;
        }
        return best; // rounding left a sliver of the total
    }

    private static float kthLargest(float[] values, int k) {
        float[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length - k];
    }
}
