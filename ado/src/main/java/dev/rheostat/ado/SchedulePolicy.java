package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A mixture that a user has planned: from the first step of a stage on its shares. With {@code ramp} above 0 the shares
 * move from the stage before in a straight line over so many steps. The plan counts the step of a batch, so the mixture held
 * after step t is that of step t + lag. A step costs O(K).
 */
final class SchedulePolicy implements MixturePolicy {
    /** @param step the last observed, -1 before the first */
    private record State(long step) implements PolicyState {}

    private final NavigableMap<Long, double[]> stages = new TreeMap<>();
    private final long ramp;
    private final int lag, domains;

    /** @throws IllegalArgumentException if no stage begins at step 0, or one names no such domain or has nothing but zeros */
    SchedulePolicy(PolicySettings settings, PolicyInputs inputs) {
        inputs.stages()
                .forEach((step, shares) -> stages.put(step, Simplex.normalise(inputs.byDomain("stages", shares))));
        if (stages.isEmpty() || stages.firstKey() != 0)
            throw new IllegalArgumentException("policy schedule needs stages, the first from step 0 on");
        ramp = settings.whole("ramp");
        lag = inputs.lag();
        domains = inputs.domains();
    }

    static PolicySettings settings() {
        return PolicySettings.of("schedule", List.of(Key.whole("ramp", 0, PolicySettings.STEPS, 0)));
    }

    @Override
    public String name() {
        return "schedule";
    }

    @Override
    public int domains() {
        return domains;
    }

    @Override
    public PolicyState initial() {
        return new State(-1);
    }

    @Override
    public PolicyState observe(PolicyState state, Observation observation) {
        return new State(observation.step());
    }

    @Override
    public double[] mixture(PolicyState state) {
        long observed = ((State) state).step, step = observed < 0 ? 0 : observed + lag;
        Map.Entry<Long, double[]> stage = stages.floorEntry(step);
        Map.Entry<Long, double[]> before = stages.lowerEntry(stage.getKey());
        double done = before == null || ramp == 0 ? 1 : Math.min(1, (step - stage.getKey() + 1.0) / ramp);
        double[] share_K = new double[domains];
        for (int k = 0; k < domains; k++)
            share_K[k] = done * stage.getValue()[k] + (done == 1 ? 0 : (1 - done) * before.getValue()[k]);
        return share_K;
    }

    @Override
    public Map<String, Object> save(PolicyState state) {
        Map<String, Object> saved = new LinkedHashMap<>();
        saved.put("policy", name());
        saved.put("step", ((State) state).step);
        return saved;
    }

    @Override
    public PolicyState restore(Map<String, Object> values) {
        Saved saved = new Saved(values);
        saved.expect("policy", name());
        return new State(saved.number("step"));
    }
}
