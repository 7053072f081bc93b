package dev.rheostat.ado;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * When and how ado-transfer shakes the mixture. A probe is a window of steps between two validations in which domain k's
 * share is scaled by exp(+shake) or exp(-shake); the signs of the domains over a block of windows are different rows of
 * a Hadamard matrix, so every domain moves in every window, no two move alike, and over a block each moves up as
 * often as down. The rows that change sign most often are taken, as least like the slow drift that a learning rate
 * or a law that is not quite one gives to all windows. Windows are equally wide in ln n: in each a law falls by about as much. Rows go by the names of the domains, so
 * that their order does not matter.
 */
final class TransferProbes {
    private final long[] boundary_W; // steps done at the start of each window, and at the end of the last
    private final int[] row_K; // of the Hadamard matrix; row 0, which never changes its sign, is nobody's
    private final double shake;

    /**
     * @param first step of the first window
     * @param end of the last
     * @param blocks of as many windows as the matrix has columns
     */
    TransferProbes(List<String> names_K, long first, long end, int blocks, double shake) {
        int K = names_K.size();
        List<String> sorted = names_K.stream().sorted().toList();
        int[] quickest = IntStream.range(1, columns(K))
                .boxed()
                .sorted(Comparator.comparingInt(row -> -changes(row, columns(K))))
                .mapToInt(row -> row)
                .toArray();
        row_K = names_K.stream()
                .mapToInt(name -> quickest[sorted.indexOf(name)])
                .toArray();
        this.shake = shake;
        boundary_W = K < 2 || end <= first ? new long[0] : boundaries(Math.max(1, first), end, blocks * columns(K));
    }

    /** Windows of a block: the least power of two above K. */
    static int columns(int K) {
        return Integer.highestOneBit(K) << 1;
    }

    /** Changes of sign along a row. */
    private static int changes(int row, int columns) {
        int changes = 0;
        for (int window = 1; window < columns; window++) if (isDown(row, window) != isDown(row, window - 1)) changes++;
        return changes;
    }

    private static boolean isDown(int row, int window) {
        return Integer.bitCount(row & window) % 2 == 1;
    }

    /** At least one step apart, so there are fewer windows where the run is short. */
    private static long[] boundaries(long first, long end, int windows) {
        double ratio = Math.log((double) end / first) / windows;
        return IntStream.rangeClosed(0, windows)
                .mapToLong(i -> i == windows ? end : Math.round(first * StrictMath.exp(ratio * i)))
                .distinct()
                .toArray();
    }

    boolean isBoundary(long stepsDone) {
        return Arrays.binarySearch(boundary_W, stepsDone) >= 0;
    }

    /** The mixture shaken as the window of the next step says. @return as it came outside the windows */
    double[] shaken(double[] mixture_K, long stepsDone) {
        int at = Arrays.binarySearch(boundary_W, stepsDone), window = at >= 0 ? at : -at - 2;
        if (window < 0 || window >= boundary_W.length - 1) return mixture_K;
        double[] shaken_K = new double[mixture_K.length];
        for (int k = 0; k < shaken_K.length; k++) {
            shaken_K[k] = mixture_K[k] * Math.exp(isDown(row_K[k], window) ? -shake : shake);
        }
        return Simplex.normalise(shaken_K);
    }
}
