package dev.rheostat.model;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.config.ModelConfig.Mlp;
import dev.rheostat.config.ModelConfig.NormKind;
import dev.rheostat.config.ModelConfig.Positions;
import java.util.Map;

/**
 * The model in double precision, one number at a time, straight from its equations and sharing no code with the ops: the
 * oracle of whole-model tests.
 */
public final class ReferenceGpt {
    private final ModelConfig config;
    private final Map<String, double[]> parameter;
    private final int C, H, G, D, F;

    /** @param parameter by the names of {@link ParameterLayout}, row-major */
    public ReferenceGpt(ModelConfig config, Map<String, double[]> parameter) {
        this.config = config;
        this.parameter = parameter;
        C = config.width();
        H = config.heads();
        G = config.kvHeads();
        D = config.headWidth();
        F = config.mlpWidth();
    }

    /**
     * Nats of each predicted token of one sequence.
     * @param tokens T + 1 of them
     * @param docStart_T position at which the document of each position starts
     */
    public double[] tokenLosses(int[] tokens, int[] docStart_T) {
        int T = tokens.length - 1;
        double[][] x_TC = new double[T][C];
        for (int t = 0; t < T; t++)
            for (int c = 0; c < C; c++) {
                x_TC[t][c] = parameter.get("embedding.weight")[tokens[t] * C + c];
                if (config.positions() == Positions.LEARNED)
                    x_TC[t][c] += parameter.get("positions.weight")[t * C + c];
            }
        for (int l = 0; l < config.layers(); l++) {
            String layer = "layers." + l;
            add(x_TC, attention(layer + ".attention", norm(layer + ".attentionNorm", x_TC, 1e-6), docStart_T));
            add(x_TC, mlp(layer + ".mlp", norm(layer + ".mlpNorm", x_TC, 1e-6)));
        }
        double[][] y_TC = norm("finalNorm", x_TC, 1e-5);
        double[] head_VpC = parameter.get(config.tied() ? "embedding.weight" : "head.weight");
        double[] loss_T = new double[T];
        for (int t = 0; t < T; t++) {
            double[] logit_V = new double[config.vocabulary()];
            double sum = 0;
            for (int v = 0; v < logit_V.length; v++) {
                for (int c = 0; c < C; c++) logit_V[v] += y_TC[t][c] * head_VpC[v * C + c];
                sum += Math.exp(logit_V[v]);
            }
            loss_T[t] = Math.log(sum) - logit_V[tokens[t + 1]];
        }
        return loss_T;
    }

    private double[][] attention(String name, double[][] x_TC, int[] docStart_T) {
        int T = x_TC.length;
        double[][] qkv_TW = linear(name + ".qkv", x_TC, (H + 2 * G) * D);
        for (int t = 0; t < T; t++)
            for (int h = 0; h < H + G; h++) {
                if (config.qkNorm()) {
                    double[] gain_D = parameter.get(name + (h < H ? ".qNorm.gain" : ".kNorm.gain"));
                    double mean = 0, variance = 0;
                    for (int d = 0; d < D; d++) mean += qkv_TW[t][h * D + d] / D;
                    for (int d = 0; d < D; d++) variance += square(qkv_TW[t][h * D + d] - mean) / D;
                    for (int d = 0; d < D; d++)
                        qkv_TW[t][h * D + d] = (qkv_TW[t][h * D + d] - mean) / Math.sqrt(variance + 1e-6) * gain_D[d];
                }
                if (config.positions() == Positions.ROTARY)
                    for (int i = 0; i < D / 2; i++) {
                        double angle = t * Math.pow(config.rotaryBase(), -2.0 * i / D);
                        double even = qkv_TW[t][h * D + 2 * i], odd = qkv_TW[t][h * D + 2 * i + 1];
                        qkv_TW[t][h * D + 2 * i] = even * Math.cos(angle) - odd * Math.sin(angle);
                        qkv_TW[t][h * D + 2 * i + 1] = even * Math.sin(angle) + odd * Math.cos(angle);
                    }
            }
        double[][] o_TC = new double[T][C];
        for (int t = 0; t < T; t++)
            for (int h = 0; h < H; h++) {
                int key = (H + h / (H / G)) * D, value = key + G * D;
                double sum = 0;
                for (int s = docStart_T[t]; s <= t; s++) {
                    double score = 0;
                    for (int d = 0; d < D; d++) score += qkv_TW[t][h * D + d] * qkv_TW[s][key + d] / Math.sqrt(D);
                    sum += Math.exp(score);
                    for (int d = 0; d < D; d++) o_TC[t][h * D + d] += Math.exp(score) * qkv_TW[s][value + d];
                }
                for (int d = 0; d < D; d++) o_TC[t][h * D + d] /= sum;
            }
        return linear(name + ".out", o_TC, C);
    }

    private double[][] mlp(String name, double[][] x_TC) {
        boolean swiglu = config.mlp() == Mlp.SWIGLU;
        double[][] in_TI = linear(name + ".in", x_TC, swiglu ? 2 * F : F);
        double[][] hidden_TF = new double[x_TC.length][F];
        for (int t = 0; t < x_TC.length; t++)
            for (int f = 0; f < F; f++) {
                double u = in_TI[t][f];
                hidden_TF[t][f] = swiglu
                        ? u / (1 + Math.exp(-u)) * in_TI[t][F + f]
                        : 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u * u * u)));
            }
        return linear(name + ".out", hidden_TF, C);
    }

    private double[][] norm(String name, double[][] x_TC, double epsilon) {
        double[] gain_C = parameter.get(name + ".gain"), bias_C = parameter.get(name + ".bias");
        double[][] y_TC = new double[x_TC.length][C];
        for (int t = 0; t < x_TC.length; t++) {
            double mean = 0, square = 0;
            if (config.norm() == NormKind.LAYER) for (double value : x_TC[t]) mean += value / C;
            for (double value : x_TC[t]) square += square(value - mean) / C;
            for (int c = 0; c < C; c++) {
                y_TC[t][c] = (x_TC[t][c] - mean) / Math.sqrt(square + epsilon);
                if (gain_C != null) y_TC[t][c] *= gain_C[c];
                if (bias_C != null) y_TC[t][c] += bias_C[c];
            }
        }
        return y_TC;
    }

    private double[][] linear(String name, double[][] x_TI, int outputs) {
        double[] weight_OI = parameter.get(name + ".weight"), bias_O = parameter.get(name + ".bias");
        int I = x_TI[0].length;
        double[][] y_TO = new double[x_TI.length][outputs];
        for (int t = 0; t < x_TI.length; t++)
            for (int o = 0; o < outputs; o++) {
                double sum = bias_O == null ? 0 : bias_O[o];
                for (int i = 0; i < I; i++) sum += x_TI[t][i] * weight_OI[o * I + i];
                y_TO[t][o] = sum;
            }
        return y_TO;
    }

    private static void add(double[][] x_TC, double[][] branch_TC) {
        for (int t = 0; t < x_TC.length; t++) for (int c = 0; c < x_TC[t].length; c++) x_TC[t][c] += branch_TC[t][c];
    }

    private static double square(double value) {
        return value * value;
    }
}
