package dev.rheostat.ado;

import dev.rheostat.ado.PolicySettings.Key;
import java.util.Arrays;
import java.util.List;

/** Mixture policies by the name that a run file gives them: the modes, the settings and the making of each. */
public final class Policies {
    public static final List<String> NAMES = List.of(
            "ado",
            "ado-transfer",
            "natural",
            "uniform",
            "static",
            "temperature",
            "unimax",
            "schedule",
            "odm",
            "loss-proportional",
            "skill-it",
            "aioli",
            "doremi");

    /** Between the prior and uniform; 0.3 to 0.7 are usual for languages. Conneau et al. 2020, arXiv:1911.02116, sec. 3.1. */
    private static final double TAU = 0.5;

    private Policies() {}

    /** The modes of a policy, its default first; empty if it has none. @throws IllegalArgumentException for no such policy */
    public static List<String> modes(String policy) {
        known(policy);
        return switch (policy) {
            case "ado" -> List.of("robust", "reference");
            case "odm" -> List.of("released", "published");
            default -> List.of();
        };
    }

    /** The mode meant: as given, or the policy's default where it is empty. @throws IllegalArgumentException naming the nearest */
    public static String mode(String policy, String given) {
        List<String> modes = modes(policy);
        if (given.isEmpty()) return modes.isEmpty() ? "" : modes.getFirst();
        if (modes.isEmpty()) throw new IllegalArgumentException("policy " + policy + " has no modes");
        if (!modes.contains(given)) throw Names.unknown("mode of policy " + policy, given, modes);
        return given;
    }

    /**
     * The settings of a policy at their defaults.
     *
     * @param mode empty for the policy's default
     * @param totalSteps of the run, which some defaults are parts of
     * @throws IllegalArgumentException for a policy or mode that does not exist, naming the nearest
     */
    public static PolicySettings settings(String policy, String mode, long totalSteps) {
        String meant = mode(policy, mode);
        return switch (policy) {
            case "ado" -> AdoSettings.of(meant, totalSteps).values();
            case "ado-transfer" -> TransferPolicy.settings(totalSteps);
            case "temperature" -> PolicySettings.of(policy, List.of(Key.real("tau", 0, 100, TAU)));
            case "unimax" -> Unimax.settings();
            case "schedule" -> SchedulePolicy.settings();
            case "odm" -> OdmPolicy.settings(meant, totalSteps);
            case "loss-proportional" -> LossProportionalPolicy.settings(totalSteps);
            case "skill-it" -> SkillItPolicy.settings(totalSteps);
            case "aioli" -> AioliPolicy.settings(totalSteps);
            case "doremi" -> DoremiPolicy.settings();
            default -> PolicySettings.of(policy, List.of());
        };
    }

    /**
     * @param policy one of {@link #NAMES}
     * @param mode empty for the policy's default
     * @param settings made by {@link #settings} for the same policy and mode
     * @throws IllegalArgumentException for a policy, mode or domain that does not exist, naming the nearest; for inputs
     *     that the policy lacks; for settings that leave no mixture
     */
    public static MixturePolicy create(String policy, String mode, PolicySettings settings, PolicyInputs inputs) {
        String meant = mode(policy, mode);
        return switch (policy) {
            case "ado" ->
                new AdoPolicy(
                        new AdoSettings(AdoSettings.Mode.of(meant), settings), inputs.prior_K(), inputs.target_K());
            case "ado-transfer" -> new TransferPolicy(settings, inputs);
            case "natural" -> new FixedPolicy(policy, inputs.prior_K());
            case "uniform" -> new FixedPolicy(policy, even(inputs.domains()));
            case "static" -> {
                if (inputs.shares().isEmpty())
                    throw new IllegalArgumentException("policy static needs shares, by domain");
                yield new FixedPolicy(policy, inputs.byDomain("shares", inputs.shares()));
            }
            case "temperature" -> new FixedPolicy(policy, powers(inputs.prior_K(), settings.real("tau")));
            case "unimax" -> new FixedPolicy(policy, Unimax.shares(settings, inputs));
            case "schedule" -> new SchedulePolicy(settings, inputs);
            case "loss-proportional" -> new LossProportionalPolicy(settings, inputs);
            case "skill-it" -> new SkillItPolicy(settings, inputs);
            case "aioli" -> new AioliPolicy(settings, inputs);
            case "odm" -> new OdmPolicy(OdmPolicy.Mode.of(meant), settings, inputs.prior_K());
            case "doremi" -> {
                double[] weight_K =
                        inputs.shares().isEmpty() ? even(inputs.domains()) : inputs.byDomain("shares", inputs.shares());
                yield new DoremiPolicy(settings, Simplex.normalise(weight_K));
            }
            default -> throw new AssertionError(policy);
        };
    }

    private static double[] powers(double[] share_K, double exponent) {
        double[] power_K = new double[share_K.length];
        for (int k = 0; k < power_K.length; k++) power_K[k] = Math.pow(share_K[k], exponent);
        return power_K;
    }

    private static double[] even(int domains) {
        double[] even_K = new double[domains];
        Arrays.fill(even_K, 1);
        return even_K;
    }

    /** Whether some policy has a setting of this name. */
    public static boolean isSetting(String name) {
        for (String policy : NAMES) {
            if (settings(policy, "", 1).values().containsKey(name)) return true;
            for (String mode : modes(policy))
                if (settings(policy, mode, 1).values().containsKey(name)) return true;
        }
        return false;
    }

    private static void known(String policy) {
        if (!NAMES.contains(policy)) throw Names.unknown("mixture policy", policy, NAMES);
    }
}
