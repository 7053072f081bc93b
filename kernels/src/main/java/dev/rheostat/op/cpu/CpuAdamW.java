package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.Doors;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link PlainAdamW} in vectors: one pass for the norm and one that moves, 32 bytes of traffic a parameter in all. The
 * norm is summed in doubles over blocks of fixed length, merged in order, so the bits do not depend on the number of threads.
 */
final class CpuAdamW implements AdamW<HostTensor> {
    /** Elements a task: a few times what a wake-up costs, small enough to balance. */
    private static final int BLOCK = 1 << 15;

    private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Float> HALF =
            VectorSpecies.of(float.class, VectorShape.forBitSize(DOUBLES.vectorBitSize() / 2));
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    /** f32 numbers of a step that its inner loop reads. */
    private record Move(
            float clip,
            float keep1,
            float take1,
            float keep2,
            float take2,
            float rate1,
            float scale2,
            float epsilon,
            float decay) {
        static Move of(AdamWControl.Step step, Settings s) {
            return new Move(
                    (float) step.clip(),
                    s.beta1(),
                    (float) (1 - (double) s.beta1()),
                    s.beta2(),
                    (float) (1 - (double) s.beta2()),
                    (float) (step.rate() / step.correction1()),
                    (float) (1 / Math.sqrt(step.correction2())),
                    s.epsilon(),
                    (float) (step.rate() * s.weightDecay()));
        }
    }

    private final long parameterCount;
    private final WorkerPool pool;
    private final HostMemory memory;
    private final int blocks;
    private final MemorySegment squares;

    CpuAdamW(long parameterCount, WorkerPool pool, HostMemory memory) {
        this.parameterCount = parameterCount;
        this.pool = pool;
        this.memory = memory;
        blocks = Math.toIntExact((parameterCount + BLOCK - 1) / BLOCK);
        squares = memory.allocate("scratch", DType.F64, blocks).memory();
    }

    @Override
    public Control<HostTensor> allocateControl() {
        return AdamWControl.allocate(memory);
    }

    @Override
    public void update(
            HostTensor parameter_N,
            HostTensor gradient_N,
            HostTensor m_N,
            HostTensor v_N,
            LossHead.Sums<HostTensor> sums,
            Control<HostTensor> control,
            Settings settings) {
        Doors.HOST.adamW(parameterCount, parameter_N, gradient_N, m_N, v_N);
        AdamWControl.Step step = AdamWControl.decide(norm(gradient_N.memory()), sums, control, settings);
        if (step == null) return;
        Move move = Move.of(step, settings);
        MemorySegment p = parameter_N.memory(), g = gradient_N.memory(), m = m_N.memory(), v = v_N.memory();
        pool.run(blocks, (block, worker) -> move(p, g, m, v, (long) block * BLOCK, length(block), move));
    }

    private double norm(MemorySegment gradient) {
        pool.run(
                blocks,
                (block, worker) ->
                        squares.setAtIndex(JAVA_DOUBLE, block, squares(gradient, (long) block * BLOCK, length(block))));
        double total = 0;
        for (int block = 0; block < blocks; block++) total += squares.getAtIndex(JAVA_DOUBLE, block);
        return Math.sqrt(total);
    }

    private int length(int block) {
        return (int) Math.min(BLOCK, parameterCount - (long) block * BLOCK);
    }

    /** In doubles, so that no gradient overflows; halves of a vector are read as such, since each is one vector of doubles. */
    private static double squares(MemorySegment x, long start, int n) {
        int half = HALF.length(), i = 0;
        DoubleVector even = DoubleVector.zero(DOUBLES), odd = DoubleVector.zero(DOUBLES);
        for (; i + 2 * half <= n; i += 2 * half) {
            DoubleVector a = (DoubleVector) FloatVector.fromMemorySegment(HALF, x, 4 * (start + i), ORDER)
                    .convertShape(VectorOperators.F2D, DOUBLES, 0);
            DoubleVector b = (DoubleVector) FloatVector.fromMemorySegment(HALF, x, 4 * (start + i + half), ORDER)
                    .convertShape(VectorOperators.F2D, DOUBLES, 0);
            even = a.fma(a, even);
            odd = b.fma(b, odd);
        }
        double total = 0;
        for (double lane : even.add(odd).toDoubleArray()) total += lane;
        for (; i < n; i++) {
            double rest = x.getAtIndex(JAVA_FLOAT, start + i);
            total += rest * rest;
        }
        return total;
    }

    /** Straight through and without a helper of ours: a vector that crosses a call is boxed, see {@link Lanes#exp}. */
    private static void move(
            MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long start, int n, Move by) {
        FloatVector clip = Lanes.broadcast(by.clip),
                keep1 = Lanes.broadcast(by.keep1),
                take1 = Lanes.broadcast(by.take1),
                keep2 = Lanes.broadcast(by.keep2),
                take2 = Lanes.broadcast(by.take2),
                rate1 = Lanes.broadcast(by.rate1),
                scale2 = Lanes.broadcast(by.scale2),
                epsilon = Lanes.broadcast(by.epsilon),
                minusDecay = Lanes.broadcast(-by.decay);
        for (int i = 0; i < n; i += Lanes.WIDTH) {
            long at = start + i;
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector slope = Lanes.load(g, at, mask).mul(clip);
            FloatVector first = Lanes.load(m, at, mask).mul(keep1).add(slope.mul(take1));
            FloatVector second =
                    Lanes.load(v, at, mask).mul(keep2).add(slope.mul(slope).mul(take2));
            FloatVector before = Lanes.load(p, at, mask);
            FloatVector step = first.mul(rate1).div(second.sqrt().mul(scale2).add(epsilon));
            Lanes.store(first, m, at, mask);
            Lanes.store(second, v, at, mask);
            // One rounding: 1 - decay as a float would lose most of its digits.
            Lanes.store(before.lanewise(VectorOperators.FMA, minusDecay, before).sub(step), p, at, mask);
        }
    }
}
