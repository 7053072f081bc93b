package dev.rheostat.train;

/**
 * Validation of the weights after {@code step} steps.
 * @param lossNats_K mean a token; NaN where a domain has no window
 * @param bytes_K UTF-8 bytes of the predicted tokens
 */
public record Validation(long step, double[] lossNats_K, long[] tokens_K, long[] bytes_K) {
    /** Bits a byte of text: comparable between tokenizers. */
    public double bitsPerByte(int k) {
        return lossNats_K[k] * tokens_K[k] / (Math.log(2) * bytes_K[k]);
    }

    /** Mean over all tokens. */
    public double tokenMeanNats() {
        double sum = 0;
        long tokens = 0;
        for (int k = 0; k < tokens_K.length; k++)
            if (tokens_K[k] > 0) {
                sum += lossNats_K[k] * tokens_K[k];
                tokens += tokens_K[k];
            }
        return sum / tokens;
    }

    /** Mean over domains, each counting the same: what the best checkpoint is chosen by. */
    public double unweightedMeanNats() {
        double sum = 0;
        int domains = 0;
        for (int k = 0; k < tokens_K.length; k++)
            if (tokens_K[k] > 0) {
                sum += lossNats_K[k];
                domains++;
            }
        return sum / domains;
    }
}
