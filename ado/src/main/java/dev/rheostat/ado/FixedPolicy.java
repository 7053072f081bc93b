package dev.rheostat.ado;

import java.util.Map;

/** A mixture that never moves: the natural shares, uniform ones, or a user's. */
public final class FixedPolicy implements MixturePolicy {
    /** A fixed mixture remembers nothing. */
    private record Nothing() implements PolicyState {}

    private final String name;
    private final double[] share_K;

    /** @param weight_K at least one domain; made to sum to 1. @throws IllegalArgumentException as {@link Simplex#normalise} */
    public FixedPolicy(String name, double[] weight_K) {
        this.name = name;
        this.share_K = Simplex.normalise(weight_K);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int domains() {
        return share_K.length;
    }

    @Override
    public PolicyState initial() {
        return new Nothing();
    }

    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        return state;
    }

    @Override
    public double[] mixture(PolicyState state) {
        return share_K.clone();
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        return Map.of("policy", name);
    }

    @Override
    public PolicyState restore(Map<String, Object> saved) {
        new Saved(saved).expect("policy", name);
        return new Nothing();
    }
}
