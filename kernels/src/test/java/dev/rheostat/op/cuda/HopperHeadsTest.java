package dev.rheostat.op.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.rheostat.op.AttentionShape;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Backward by heads, in two blocks: most of these shapes have more heads, so that each block writes over what it summed. */
@Tag("hopper")
class HopperHeadsTest extends AttentionKernelsTest {
    @Override
    AttentionKernels kernels(CudaOps ops, AttentionShape shape) {
        assumeTrue(ops.hasWgmma(), "attention_hopper_heads.cu is for compute capability 9.0, which this device is not");
        return new HopperAttention(ops, shape, 2);
    }

    /**
     * More tiles of keys and of queries than a ring has places; a warpgroup whose keys all lie beyond the sequence; one tile of queries a
     * tile of keys at the end; heads that share keys.
     */
    @ParameterizedTest
    @CsvSource({"1, 456, 1, 1, 64", "1, 328, 2, 1, 128", "5, 264, 4, 2, 64", "13, 72, 1, 1, 128", "7, 192, 1, 1, 64"})
    void ringsGoRound(int B, int T, int H, int G, int D) {
        check(new AttentionShape(B, T, H, G, D), null, 1, T);
    }

    /** ado-124m at 64 and ado-1.3b at 8 sequences fill an H200; 17 % idle in the last round is the most that pays. */
    @ParameterizedTest
    @CsvSource({
        "768, 132, true",
        "128, 132, true",
        "192, 132, false",
        "1, 132, false",
        "105, 132, false",
        "106, 132, true"
    })
    void headsAreTakenWhereTheyKeepTheDeviceBusy(int pairs, int multiprocessors, boolean byHeads) {
        assertEquals(byHeads, HopperAttention.headsKeepBusy(new AttentionShape(pairs, 64, 1, 1, 64), multiprocessors));
    }
}
