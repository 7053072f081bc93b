package dev.rheostat.train;

/**
 * Validation of the weights after {@code step} steps.
 * @param lossNats_K mean a token; NaN where a domain has no window
 * @param tokens_K predicted
 * @param bytes_K their UTF-8 bytes
 * @param share_K of the dataset's training tokens
 */
public record Validation(long step, double[] lossNats_K, long[] tokens_K, long[] bytes_K, double[] share_K) {
    /** Bits a byte of text: comparable between tokenizers. */
    public double bitsPerByte(int k) {
        return lossNats_K[k] * tokens_K[k] / (Math.log(2) * bytes_K[k]);
    }

    /** Mean over domains, each with its share of the dataset's training tokens: the loss of a token drawn from all of them. */
    public double tokenMeanNats() {
        double sum = 0, shares = 0;
        for (int k = 0; k < tokens_K.length; k++)
            if (tokens_K[k] > 0) {
                sum += lossNats_K[k] * share_K[k];
                shares += share_K[k];
            }
        return sum / shares;
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
