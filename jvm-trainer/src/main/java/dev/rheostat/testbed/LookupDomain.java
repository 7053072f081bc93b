package dev.rheostat.testbed;

/**
 * A domain of key-value text. Key i of V occurs with p_i = i^-(1+tail) / Z; its value is one of {@link #VALUES}, always the
 * same, but for a share of occurrences that have any of the others, all alike.
 *
 * @param name of its folder; domains of a bed are in the order of their names
 * @param tail a: the smaller, the more of the text is about rare keys; unseen mass falls as m^-(a/(1+a))
 * @param wrong q, share of wrong values
 */
record LookupDomain(String name, double tail, double wrong) {
    static final int VALUES = 64;

    LookupDomain {
        if (!(tail > 0) || !(wrong > 0 && wrong < 1))
            throw new IllegalArgumentException(name + ": tail " + tail + " wrong " + wrong);
    }

    /** epsilon = -(1-q) ln(1-q) - q ln(q/(VALUES-1)): entropy of a value whose key is known, nats. */
    double entropyNats() {
        return (1 - wrong) * rightNats() + wrong * wrongNats();
    }

    /** Loss of a right value under a learner that knows the key. */
    double rightNats() {
        return -Math.log1p(-wrong);
    }

    /** Loss of a wrong one. */
    double wrongNats() {
        return -Math.log(wrong / (VALUES - 1));
    }

    /** Loss of a value whose key was never seen: all are alike. */
    static double unknownNats() {
        return Math.log(VALUES);
    }

    /** alpha = a / (1 + a), the exponent of the loss over pairs seen, for many more keys than were seen. ado.md's derivation: Zipf. */
    double exponent() {
        return tail / (1 + tail);
    }

    /** p_i of V keys; sums to 1. */
    double[] frequencies(int keys) {
        double[] p = new double[keys];
        double sum = 0;
        for (int i = keys - 1; i >= 0; i--) sum += p[i] = Math.pow(i + 1, -(1 + tail)); // small ones first
        for (int i = 0; i < keys; i++) p[i] /= sum;
        return p;
    }
}
