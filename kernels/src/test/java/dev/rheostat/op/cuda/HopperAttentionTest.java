package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.op.AttentionShape;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Backward by tiles. */
@Tag("hopper")
class HopperAttentionTest extends AttentionKernelsTest {
    @Override
    AttentionKernels kernels(CudaOps ops, AttentionShape shape) {
        assumeTrue(ops.hasWgmma(), "attention_hopper.cu is for compute capability 9.0, which this device is not");
        return new HopperAttention(ops, shape, 0);
    }

    /**
     * More tiles of keys and of queries than a ring has places; warpgroups whose rows all lie beyond the sequence; pairs of tiles and
     * tiles in the middle, more of them than there are blocks, so that places of tiles that a block owns go round too.
     */
    @ParameterizedTest
    @CsvSource({"1, 456, 1, 1, 64", "1, 328, 2, 1, 128", "5, 264, 2, 1, 64"})
    void ringsGoRound(int B, int T, int H, int G, int D) {
        check(new AttentionShape(B, T, H, G, D), null, 1, T);
    }
}
