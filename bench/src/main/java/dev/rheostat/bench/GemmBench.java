package dev.rheostat.bench;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.ffi.OneDnn;
import dev.rheostat.op.cpu.WorkerPool;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** The GEMM library alone, on the products of one training step: its own operands, its own types, no op of ours around it. */
final class GemmBench {
    private static final int EDGE = 16, REPEATS = 5;
    private static final double LEAST_SECONDS = 0.05;

    /** C (M,N) = op(A) op(B); {@code count} times a step. */
    record Product(String name, boolean transA, boolean transB, int M, int N, int K, int count) {
        double gflop() {
            return 2e-9 * M * N * K;
        }
    }

    record Rate(Product product, double gflops) {}

    private GemmBench() {}

    /** Forward, input gradient and weight gradient of every linear layer and of the head. @param rows B T */
    static List<Product> products(ModelConfig m, int rows) {
        int D = m.width() / m.heads(), L = m.layers();
        int up = m.mlp() == ModelConfig.Mlp.SWIGLU ? 2 * m.mlpWidth() : m.mlpWidth();
        List<Product> all = new ArrayList<>();
        linear("qkv", rows, (m.heads() + 2 * m.kvHeads()) * D, m.width(), L, all);
        linear("attention out", rows, m.width(), m.width(), L, all);
        linear("mlp up", rows, up, m.width(), L, all);
        linear("mlp down", rows, m.width(), m.mlpWidth(), L, all);
        linear("head", rows, m.paddedVocabulary(), m.width(), 1, all);
        return all;
    }

    private static void linear(String name, int rows, int out, int in, int count, List<Product> all) {
        all.add(new Product(name + " NT", false, true, rows, out, in, count));
        all.add(new Product(name + " NN", false, false, rows, in, out, count));
        all.add(new Product(name + " TN", true, false, out, in, rows, count));
    }

    /** Each product's best rate of a few, all threads at work on a part of its rows. */
    static List<Rate> rates(List<Product> products, boolean bf16, int threads) {
        if (!OneDnn.status().available())
            throw new UnsupportedOperationException(
                    "no GEMM library: " + OneDnn.status().detail());
        List<Rate> rates = new ArrayList<>();
        try (WorkerPool pool = new WorkerPool(threads)) {
            for (Product product : products) rates.add(new Rate(product, rate(product, bf16, pool)));
        }
        return rates;
    }

    /** FLOPs of the step over the time that the products take at these rates. */
    static double overall(List<Rate> rates) {
        double gflop = 0, seconds = 0;
        for (Rate rate : rates) {
            gflop += rate.product.count * rate.product.gflop();
            seconds += rate.product.count * rate.product.gflop() / rate.gflops;
        }
        return gflop / seconds;
    }

    private static double rate(Product p, boolean bf16, WorkerPool pool) {
        long size = bf16 ? 2 : 4;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment a = arena.allocate(size * p.M * p.K, 64),
                    b = arena.allocate(size * p.K * p.N, 64),
                    c = arena.allocate(4L * p.M * p.N, 64);
            Runnable[] parts = new Runnable[pool.threads()];
            for (int t = 0; t < parts.length; t++) parts[t] = part(p, bf16, size, a, b, c, t, parts.length);
            double best = 0;
            for (int repeat = 0; repeat < REPEATS; repeat++) {
                int times = 0;
                long startNanos = System.nanoTime();
                double seconds = 0;
                while (seconds < LEAST_SECONDS || times < 2) {
                    pool.run(parts.length, (part, worker) -> parts[part].run());
                    times++;
                    seconds = (System.nanoTime() - startNanos) * 1e-9;
                }
                best = Math.max(best, times * p.gflop() / seconds);
            }
            return best;
        }
    }

    /** Rows of C from m to end. */
    private static Runnable part(
            Product p,
            boolean bf16,
            long size,
            MemorySegment a,
            MemorySegment b,
            MemorySegment c,
            int part,
            int parts) {
        int m = edge(p.M, part, parts), rows = edge(p.M, part + 1, parts) - m;
        if (rows == 0) return () -> {};
        int lda = p.transA ? p.M : p.K, ldb = p.transB ? p.K : p.N;
        long aAddress = a.address() + size * (p.transA ? m : (long) m * p.K),
                bAddress = b.address(),
                cAddress = c.address() + 4L * m * p.N;
        if (!bf16)
            return () ->
                    OneDnn.sgemm(p.transA, p.transB, rows, p.N, p.K, 1, aAddress, lda, bAddress, ldb, 0, cAddress, p.N);
        OneDnn.Bf16Matmul matmul = new OneDnn.Bf16Matmul(p.transA, p.transB, rows, p.N, p.K, lda, ldb, p.N, false);
        return () -> matmul.run(aAddress, bAddress, cAddress);
    }

    private static int edge(int length, int part, int parts) {
        return part == parts ? length : length * part / parts / EDGE * EDGE;
    }
}
