package dev.rheostat.op.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * {@link PlainAdamW} in vectors: one pass for the norm and one that moves, 32 bytes of traffic a parameter in all. The
 * norm is summed in doubles over blocks of fixed length, merged in order, so the bits do not depend on the number of threads.
 */
final class CpuAdamW implements AdamW<HostTensor> {
    /** Elements a task: a few times what a wake-up costs, small enough to balance. */
    private static final int BLOCK = 1 << 15;

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
        Doors.adamW(parameterCount, parameter_N, gradient_N, m_N, v_N);
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

    private static double squares(MemorySegment x, long start, int n) {
        int whole = (int) Lanes.bound(n), i = 0;
        DoubleVector low = DoubleVector.zero(DoubleVector.SPECIES_PREFERRED), high = low;
        for (; i < whole; i += Lanes.WIDTH) {
            FloatVector v = Lanes.load(x, start + i);
            DoubleVector a = (DoubleVector) v.convertShape(VectorOperators.F2D, DoubleVector.SPECIES_PREFERRED, 0);
            DoubleVector b = (DoubleVector) v.convertShape(VectorOperators.F2D, DoubleVector.SPECIES_PREFERRED, 1);
            low = a.fma(a, low);
            high = b.fma(b, high);
        }
        double total = 0;
        for (double lane : low.add(high).toDoubleArray()) total += lane;
        for (; i < n; i++) {
            double rest = x.getAtIndex(java.lang.foreign.ValueLayout.JAVA_FLOAT, start + i);
            total += rest * rest;
        }
        return total;
    }

    private static void move(
            MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long start, int n, Move by) {
        int whole = (int) Lanes.bound(n), i = 0;
        for (; i < whole; i += Lanes.WIDTH) {
            long at = start + i;
            FloatVector slope = Lanes.load(g, at).mul(by.clip);
            FloatVector first = Lanes.load(m, at).mul(by.keep1).add(slope.mul(by.take1));
            FloatVector second =
                    Lanes.load(v, at).mul(by.keep2).add(slope.mul(slope).mul(by.take2));
            Lanes.store(first, m, at);
            Lanes.store(second, v, at);
            Lanes.store(moved(Lanes.load(p, at), first, second, by), p, at);
        }
        if (i < n) {
            long at = start + i;
            VectorMask<Float> mask = Lanes.below(i, n);
            FloatVector slope = Lanes.load(g, at, mask).mul(by.clip);
            FloatVector first = Lanes.load(m, at, mask).mul(by.keep1).add(slope.mul(by.take1));
            FloatVector second =
                    Lanes.load(v, at, mask).mul(by.keep2).add(slope.mul(slope).mul(by.take2));
            Lanes.store(first, m, at, mask);
            Lanes.store(second, v, at, mask);
            Lanes.store(moved(Lanes.load(p, at, mask), first, second, by), p, at, mask);
        }
    }

    private static FloatVector moved(FloatVector p, FloatVector first, FloatVector second, Move by) {
        FloatVector step = first.mul(by.rate1).div(second.sqrt().mul(by.scale2).add(by.epsilon));
        // One rounding: 1 - decay as a float would lose most of its digits.
        return p.lanewise(VectorOperators.FMA, FloatVector.broadcast(Lanes.SPECIES, -by.decay), p)
                .sub(step);
    }
}
