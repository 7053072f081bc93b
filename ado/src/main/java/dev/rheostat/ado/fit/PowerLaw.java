package dev.rheostat.ado.fit;

/**
 * Loss of one domain against sequences seen: L(n) = epsilon + beta * n^-alpha, nats a token; n counts the sequences of
 * all domains together, as published, or the domain's own. Jiang et al. 2024, arXiv:2410.11820.
 */
public record PowerLaw(double epsilon, double beta, double alpha) {
    /** L(n), nats. */
    public double at(double n) {
        return epsilon + reducible(n);
    }

    /** beta * n^-alpha: what training can still take off, nats. Through logs, so that a huge beta does not overflow. */
    public double reducible(double n) {
        return Math.exp(Math.log(beta) - alpha * Math.log(n));
    }

    /** The potential alpha * (L(n) - epsilon) = -dL/d(ln n), nats: what the policy compares. */
    public double potential(double n) {
        return alpha * reducible(n);
    }

    public boolean isFinite() {
        return Double.isFinite(epsilon) && Double.isFinite(beta) && Double.isFinite(alpha);
    }
}
