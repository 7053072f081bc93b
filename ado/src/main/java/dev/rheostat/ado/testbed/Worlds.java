package dev.rheostat.ado.testbed;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The settings of the bed: A, four domains of one exponent, and B, of four, each with its variants. The numbers of A, B,
 * transfer and hub are those whose optima an independent implementation has computed, so both can be held against each other.
 */
public final class Worlds {
    /** Steps and batch of that implementation. */
    public static final int SEQUENCES = 256;

    public static final long STEPS = 20_000;

    private static final double[] TARGET_K = {.4, .3, .2, .1};

    /** Takes .06 to .07 nats off by the end of either curve: what a law that knows no rate over-predicts a final loss by. */
    private static final double ANNEALING_NATS = 0.08;

    /** Of the first domain in a crowded world: as large as its potential at the end of A. */
    private static final double CROWDING_NATS = 0.03;

    private Worlds() {}

    public static World a(int sequences, long steps) {
        return World.independent(
                "A",
                TARGET_K,
                new double[] {2, 2, 2, 2},
                new double[] {4, 8, 16, 4},
                new double[] {.3, .3, .3, .3},
                sequences,
                steps);
    }

    public static World b(int sequences, long steps) {
        return World.independent(
                "B",
                TARGET_K,
                new double[] {2.2, 1.8, 2.6, 1.7},
                new double[] {10, 6, 20, 8},
                new double[] {.25, .35, .45, .15},
                sequences,
                steps);
    }

    /** All sixteen: A's, B's, and both crowded. */
    public static List<World> all(int sequences, long steps) {
        World a = a(sequences, steps), b = b(sequences, steps);
        List<World> worlds = new ArrayList<>(variants(a, new double[] {.01, .05}));
        worlds.addAll(variants(b, new double[] {.05, .02}));
        worlds.add(crowded(a));
        worlds.add(crowded(b));
        return worlds;
    }

    /** Those of the names, in the order of the worlds. @throws IllegalArgumentException for a name that none has, listing them */
    public static List<World> named(List<World> worlds, List<String> names) {
        List<String> known = worlds.stream().map(World::name).toList();
        for (String name : names)
            if (!known.contains(name))
                throw new IllegalArgumentException(
                        "unknown setting '" + name + "'; valid: " + String.join(", ", known));
        return worlds.stream().filter(world -> names.contains(world.name())).toList();
    }

    private static List<World> variants(World world, double[] scarce) {
        return List.of(
                world,
                transfer(world, 0.1),
                transfer(world, 0.5),
                hub(world),
                repetition(world, scarce),
                world.withRate("cosine", RateCurve.COSINE, ANNEALING_NATS),
                world.withRate("wsd", RateCurve.WSD, ANNEALING_NATS));
    }

    /** A sequence of any domain is worth tau to every other. */
    public static World transfer(World world, double tau) {
        double[][] help_KK = new double[world.domains()][world.domains()];
        for (int k = 0; k < help_KK.length; k++) {
            Arrays.fill(help_KK[k], tau);
            help_KK[k][k] = 1;
        }
        return world.withHelp("transfer " + tau, help_KK);
    }

    /** The second domain alone helps the others, 0.8 a sequence. */
    public static World hub(World world) {
        double[][] help_KK = new double[world.domains()][world.domains()];
        for (int k = 0; k < help_KK.length; k++) {
            help_KK[k][1] = 0.8;
            help_KK[k][k] = 1;
        }
        return world.withHelp("hub", help_KK);
    }

    /** The first domain is forgotten as its share shrinks. */
    public static World crowded(World world) {
        double[] crowding_K = new double[world.domains()];
        crowding_K[0] = CROWDING_NATS;
        return world.withCrowding("crowded", crowding_K);
    }

    /** The first and the last domain have little text: so much of what the whole run draws. */
    private static World repetition(World world, double[] scarce) {
        double[] unique_K = new double[world.domains()];
        Arrays.fill(unique_K, Double.POSITIVE_INFINITY);
        unique_K[0] = scarce[0] * world.total();
        unique_K[unique_K.length - 1] = scarce[1] * world.total();
        return world.withUnique("repetition", unique_K);
    }
}
