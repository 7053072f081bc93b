package dev.rheostat.ado.fit;

import java.util.function.DoubleUnaryOperator;

/** Least value of a function with one valley, by golden section: each step asks once and shrinks the bracket to 0.618. */
final class GoldenSection {
    private static final double RATIO = (Math.sqrt(5) - 1) / 2;

    private GoldenSection() {}

    /** @return the best place asked between the two, neither of which is asked */
    static double lowest(DoubleUnaryOperator f, double from, double to, int steps) {
        double left = to - RATIO * (to - from), right = from + RATIO * (to - from);
        double leftValue = f.applyAsDouble(left), rightValue = f.applyAsDouble(right);
        for (int i = 0; i < steps; i++) {
            if (leftValue <= rightValue) {
                to = right;
                right = left;
                rightValue = leftValue;
                left = to - RATIO * (to - from);
                leftValue = f.applyAsDouble(left);
            } else {
                from = left;
                left = right;
                leftValue = rightValue;
                right = from + RATIO * (to - from);
                rightValue = f.applyAsDouble(right);
            }
        }
        return leftValue <= rightValue ? left : right;
    }
}
