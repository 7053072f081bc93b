package dev.rheostat.ado.fit;

/** A symmetric positive definite matrix as L L', for solves; a few domains wide. */
public final class Cholesky {
    private final double[][] lower;

    /** @param matrix only the lower triangle is read. @throws IllegalArgumentException if it is not positive definite */
    public Cholesky(double[][] matrix) {
        int n = matrix.length;
        lower = new double[n][n];
        for (int i = 0; i < n; i++)
            for (int j = 0; j <= i; j++) {
                double sum = matrix[i][j];
                for (int k = 0; k < j; k++) sum -= lower[i][k] * lower[j][k];
                if (i != j) lower[i][j] = sum / lower[j][j];
                else if (sum > 0) lower[i][i] = Math.sqrt(sum);
                else throw new IllegalArgumentException("pivot " + i + " is " + sum + ", must be above 0");
            }
    }

    /** matrix^-1 b; b is not changed. */
    public double[] solve(double[] b) {
        int n = lower.length;
        double[] x = b.clone();
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < i; k++) x[i] -= lower[i][k] * x[k];
            x[i] /= lower[i][i];
        }
        for (int i = n - 1; i >= 0; i--) {
            for (int k = i + 1; k < n; k++) x[i] -= lower[k][i] * x[k];
            x[i] /= lower[i][i];
        }
        return x;
    }
}
