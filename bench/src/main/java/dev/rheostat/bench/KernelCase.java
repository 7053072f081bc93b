package dev.rheostat.bench;

import java.util.function.DoubleSupplier;

/**
 * One op at one shape, its inputs on the device.
 *
 * @param sizes for the reader
 * @param predictedSeconds on an H200
 * @param prepare what has to be so before the first run, whose answer is looked at
 * @param run the op
 * @param checked what is compared with what, in a few words
 * @param error of the answer, relative to it, root mean square; 0 or 1 for a comparison that holds or not
 */
record KernelCase(
        OpCost cost,
        String sizes,
        double predictedSeconds,
        Runnable prepare,
        Runnable run,
        String checked,
        DoubleSupplier error) {
    KernelCase(OpCost cost, String sizes, Runnable prepare, Runnable run, String checked, DoubleSupplier error) {
        this(cost, sizes, DeviceRates.H200.predictedSeconds(cost), prepare, run, checked, error);
    }

    /** An op that needs no preparation. */
    static KernelCase of(OpCost cost, String sizes, Runnable run, String checked, DoubleSupplier error) {
        return new KernelCase(cost, sizes, () -> {}, run, checked, error);
    }
}
