package dev.rheostat.op.cpu;

import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;

/**
 * How a token's loss enters the sums of a step, the same for the definition and its fast variant. The sums are integers,
 * so partial ones may be merged in any order.
 */
final class LossSums {
    private LossSums() {}

    static LossHead.Sums<HostTensor> allocate(HostMemory memory, String purpose, int domains) {
        return new LossHead.Sums<>(
                memory.allocate(purpose, DType.I64, domains),
                memory.allocate(purpose, DType.I64, domains),
                memory.allocate(purpose, DType.I64, 2));
    }

    static LossHead.Sums<HostTensor> allocateWithExcess(HostMemory memory, String purpose, int domains) {
        LossHead.Sums<HostTensor> sums = allocate(memory, purpose, domains);
        return new LossHead.Sums<>(
                sums.lossSum_K(), sums.tokenCount_K(), sums.flags_2(), memory.allocate(purpose, DType.I64, domains));
    }

    static void clear(LossHead.Sums<HostTensor> sums) {
        sums.lossSum_K().memory().fill((byte) 0);
        sums.tokenCount_K().memory().fill((byte) 0);
        sums.flags_2().memory().fill((byte) 0);
        if (sums.excessSum_K() != null) sums.excessSum_K().memory().fill((byte) 0);
    }

    /** A loss that is not finite is counted in the flags alone: it enters neither its domain's sum nor its count. */
    static void add(LossHead.Sums<HostTensor> sums, int domain, double lossNats, double clampNats) {
        if (!Double.isFinite(lossNats)) {
            increase(sums.flags_2(), 1, 1);
            return;
        }
        if (Math.abs(lossNats) > clampNats) increase(sums.flags_2(), 0, 1);
        double clamped = Math.clamp(lossNats, -clampNats, clampNats);
        increase(sums.lossSum_K(), domain, Math.round(clamped * LossHead.FIXED_POINT));
        increase(sums.tokenCount_K(), domain, 1);
    }

    /** What a token's loss is above a reference model's; nothing where {@link #add} adds no loss. */
    static void addExcess(
            LossHead.Sums<HostTensor> sums, int domain, double lossNats, double refNats, double clampNats) {
        if (!Double.isFinite(lossNats)) return;
        double above = Math.clamp(lossNats, -clampNats, clampNats) - refNats;
        if (!(above > 0)) return; // a reference that is NaN among them
        increase(sums.excessSum_K(), domain, Math.round(Math.min(above, clampNats) * LossHead.FIXED_POINT));
    }

    /** @param part has an excess if {@code into} has one */
    static void merge(LossHead.Sums<HostTensor> into, LossHead.Sums<HostTensor> part) {
        merge(into.lossSum_K(), part.lossSum_K());
        merge(into.tokenCount_K(), part.tokenCount_K());
        merge(into.flags_2(), part.flags_2());
        if (into.excessSum_K() != null) merge(into.excessSum_K(), part.excessSum_K());
    }

    private static void merge(HostTensor into, HostTensor part) {
        for (long i = 0; i < into.size(); i++) increase(into, i, part.getLong(i));
    }

    private static void increase(HostTensor x, long index, long by) {
        x.setLong(index, x.getLong(index) + by);
    }
}
