package dev.rheostat.bench;

import dev.rheostat.bench.OpCost.Limit;

/**
 * What a device is taken to do, for predictions.
 *
 * @param bytesPerSecond of device memory, in a copy
 * @param productFlops of a large bf16 product
 * @param shortProduct share of it that a product reaches whose inner axis is below {@link #LONG_AXIS}; longProduct, of the others
 * @param attention64 of head width 64; attention128 of 128
 * @param multiprocessors which decide how attention's backward pass is made
 * @param linkBytesPerSecond between host and device
 * @param launchSeconds that the device needs between two nodes of a graph
 */
record DeviceRates(
        String device,
        double bytesPerSecond,
        double productFlops,
        double shortProduct,
        double longProduct,
        Attention attention64,
        Attention attention128,
        int multiprocessors,
        double linkBytesPerSecond,
        double launchSeconds) {
    static final long LONG_AXIS = 2048;

    /** FLOP/s of each pass, causal count, the backward one 2.5 times the forward one's FLOPs. */
    record Attention(double forward, double backwardByHeads, double backwardByTiles) {}

    /**
     * One H200. Measured by others: 790 TFLOP/s for a product of 8192 cubed. Of the 4.8 TB/s of its memory's data sheet a copy is
     * taken to reach 4.2, as the kernels' headers do. Attention as the headers of attention_hopper.cu and
     * attention_hopper_heads.cu predict it. Assumed, with no source: the shares of the large product's rate that products of a model's shapes
     * reach, and the time between two nodes.
     */
    static final DeviceRates H200 = new DeviceRates(
            "H200",
            4.2e12,
            790e12,
            0.75,
            0.85,
            new Attention(270e12, 300e12, 217e12),
            new Attention(430e12, 385e12, 301e12),
            132,
            55e9,
            1.5e-6);

    /** The larger of the times that bytes and FLOPs take at these rates: no kernel is faster. */
    double floorSeconds(OpCost cost) {
        double link = cost.limit() == Limit.LINK ? linkBytesPerSecond : bytesPerSecond;
        return Math.max(cost.bytes() / link, cost.flops() / productFlops);
    }

    /** What we expect of it, its launches included. */
    double predictedSeconds(OpCost cost) {
        Attention attention = cost.inner() >= 128 ? attention128 : attention64;
        double flops = switch (cost.limit()) {
            case MEMORY, LINK, PRODUCT -> productFlops * (cost.inner() < LONG_AXIS ? shortProduct : longProduct);
            case ATTENTION_FORWARD -> attention.forward;
            case ATTENTION_BACKWARD_BY_HEADS -> attention.backwardByHeads;
            case ATTENTION_BACKWARD_BY_TILES -> attention.backwardByTiles;
        };
        return Math.max(floorSeconds(cost), cost.flops() / flops) + cost.launches() * launchSeconds;
    }
}
