package dev.rheostat.ado.fit;

/**
 * What one domain's law is fitted to, ordered by n.
 *
 * @param lnN mean of ln n, n in sequences of all domains
 * @param lossNats mean loss
 * @param weight sequences of the domain behind the mean: the variance of lossNats is a constant over it
 */
public record FitPoints(double[] lnN, double[] lossNats, double[] weight) {
    public FitPoints {
        if (lnN.length != lossNats.length || lnN.length != weight.length)
            throw new IllegalArgumentException(
                    lnN.length + " places, " + lossNats.length + " losses, " + weight.length + " weights");
    }

    public int size() {
        return lnN.length;
    }
}
