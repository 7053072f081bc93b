package dev.rheostat.ado.fit;

import java.util.Arrays;

/** Standard deviation of one sequence's loss, nats, in ways that outliers hardly move. */
final class NoiseScale {
    private NoiseScale() {}

    /** A first guess that no trend moves far either: the median of neighbours' differences. */
    static double ofDifferences(FitPoints points) {
        int size = points.size();
        double[] difference = new double[size - 1];
        for (int i = 0; i < size - 1; i++) {
            double variance = 1 / points.weight()[i] + 1 / points.weight()[i + 1];
            difference[i] = Math.abs(points.lossNats()[i + 1] - points.lossNats()[i]) / Math.sqrt(variance);
        }
        Arrays.sort(difference);
        return 1.4826 * difference[difference.length / 2]; // median of |x| to the deviation of a normal
    }

    /**
     * The sigma with sum min(w r^2, (huber sigma)^2) / (points - fitted) = c sigma^2, by fixed-point steps from the one given.
     *
     * @param residual nats, one a point
     * @param fitted parameters of the law behind the residuals
     */
    static double ofResiduals(FitPoints points, double[] residual, int fitted, double huber, double sigma) {
        double[] weight = points.weight();
        double squaresOfScale = sigma * sigma;
        for (int inner = 0; inner < 20; inner++) {
            double sum = 0;
            for (int i = 0; i < residual.length; i++)
                sum += Math.min(weight[i] * residual[i] * residual[i], huber * huber * squaresOfScale);
            squaresOfScale = sum / Math.max(1, residual.length - fitted) / clippedVariance(huber);
        }
        return Math.sqrt(squaresOfScale);
    }

    /** E min(x^2, h^2) for a standard normal x, so that the scale is right where there are no outliers. */
    private static double clippedVariance(double h) {
        double density = Math.exp(-0.5 * h * h) / Math.sqrt(2 * Math.PI);
        double tail = upperTail(h);
        return 1 - 2 * tail - 2 * h * density + 2 * h * h * tail;
    }

    /** P(x > h) of a standard normal, h > 0, to 1e-7. Abramowitz and Stegun 26.2.17. */
    private static double upperTail(double h) {
        double t = 1 / (1 + 0.2316419 * h);
        double series =
                t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
        return Math.exp(-0.5 * h * h) / Math.sqrt(2 * Math.PI) * series;
    }
}
