package dev.rheostat.ado.fit;

/** A square system of linear equations, factored once for any number of right-hand sides. Gauss with partial pivoting. */
public final class LinearSystem {
    private static final double SINGULAR = 1e-12; // of the largest entry: a pivot below is rounding alone

    private final double[][] lu;
    private final int[] row; // of the system at each row of lu
    private boolean singular;

    private LinearSystem(double[][] a) {
        int n = a.length;
        lu = new double[n][];
        row = new int[n];
        double largest = 0;
        for (int i = 0; i < n; i++) {
            lu[i] = a[i].clone();
            row[i] = i;
            for (double entry : a[i]) largest = Math.max(largest, Math.abs(entry));
        }
        for (int p = 0; p < n; p++) {
            int best = p;
            for (int i = p + 1; i < n; i++) if (Math.abs(lu[i][p]) > Math.abs(lu[best][p])) best = i;
            swap(p, best);
            if (!(Math.abs(lu[p][p]) > SINGULAR * largest)) {
                singular = true;
                return;
            }
            for (int i = p + 1; i < n; i++) {
                double factor = lu[i][p] /= lu[p][p];
                if (factor != 0) for (int j = p + 1; j < n; j++) lu[i][j] -= factor * lu[p][j];
            }
        }
    }

    /** @param a n rows of n; not written */
    public static LinearSystem of(double[][] a) {
        return new LinearSystem(a);
    }

    private void swap(int i, int j) {
        double[] entries = lu[i];
        lu[i] = lu[j];
        lu[j] = entries;
        int from = row[i];
        row[i] = row[j];
        row[j] = from;
    }

    /** Whether it has no one answer, up to rounding. */
    public boolean isSingular() {
        return singular;
    }

    /** x with a x = b. @throws IllegalStateException if the system is singular */
    public double[] solve(double[] b) {
        if (singular) throw new IllegalStateException("the system is singular");
        int n = lu.length;
        double[] x = new double[n];
        for (int i = 0; i < n; i++) {
            x[i] = b[row[i]];
            for (int j = 0; j < i; j++) x[i] -= lu[i][j] * x[j];
        }
        for (int i = n - 1; i >= 0; i--) {
            for (int j = i + 1; j < n; j++) x[i] -= lu[i][j] * x[j];
            x[i] /= lu[i][i];
        }
        return x;
    }
}
