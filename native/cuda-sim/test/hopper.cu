// hopper.cu: a walk over tiles as Hopper kernels do it, right and with one mistake each, for the tests of the simulator.
//     s_t = a b_t^T,  out = sum over t of bf16(s_t) b_t      a and b_t (64, 64) bf16, the tiles of b one below the other
// One block of two warpgroups: the first computes, one thread of the second copies; 25 KiB of dynamic shared memory.
#include "hopper.cuh"

enum Mistake {
    NONE,
    NO_WAIT_FOR_COPY,
    NO_WAIT_FOR_PRODUCT,
    NO_FENCE,
    PLACE_GIVEN_BACK_EARLY,
    PLACE_NOT_WAITED_FOR,
    TOO_MANY_BYTES_EXPECTED,
    STORED_BY_HAND,
    STORED_AND_FENCED, // the right way to do that
    TILE_NOT_ALIGNED,
    PRODUCT_LEFT_UNDER_WAY,
    COPY_LEFT_UNDER_WAY
};

constexpr int TILE = 64 * 64, STAGES = 2;
struct Shared {
    alignas(1024) bf16 a[TILE], b[STAGES][TILE];
    MBarrier aFull, full[STAGES], empty[STAGES];
};

DEVICE void copy(bf16* tile, const TensorMap& map, int row, int bytes, MBarrier* full) {
    mbarrier_expect(full, bytes);
    tensor_copy(tile, map, 0, row, 0, full);
    mbarrier_arrive(full);
}

template <Mistake MISTAKE>
DEVICE void walk(float* out, const TensorMap* a, const TensorMap* b, int tiles) {
    DYNAMIC_SHARED(Shared, shared);
    constexpr int BYTES = TILE * int(sizeof(bf16));
    if (threadIdx.x == 0) {
        mbarrier_init(&shared->aFull, MISTAKE == STORED_BY_HAND || MISTAKE == STORED_AND_FENCED ? 4 : 1);
        for (int i = 0; i < STAGES; i++) mbarrier_init(&shared->full[i], 1), mbarrier_init(&shared->empty[i], 4);
        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x >= WARPGROUP) {
        if (threadIdx.x != WARPGROUP) return;
        if (MISTAKE != STORED_BY_HAND && MISTAKE != STORED_AND_FENCED) copy(shared->a + (MISTAKE == TILE_NOT_ALIGNED ? 64 : 0), *a, 0, BYTES, &shared->aFull);
        for (int t = 0; t < tiles; t++) {
            if (MISTAKE != PLACE_NOT_WAITED_FOR) mbarrier_wait(&shared->empty[t % STAGES], t / STAGES % 2 ^ 1);
            copy(shared->b[t % STAGES], *b, 64 * t, MISTAKE == TOO_MANY_BYTES_EXPECTED ? BYTES + 128 : BYTES, &shared->full[t % STAGES]);
        }
        if (MISTAKE == COPY_LEFT_UNDER_WAY) {
            mbarrier_wait(&shared->empty[tiles % STAGES], tiles / STAGES % 2 ^ 1);
            copy(shared->b[tiles % STAGES], *b, 0, BYTES, &shared->full[tiles % STAGES]);
        }
        return;
    }
    if (MISTAKE == STORED_BY_HAND || MISTAKE == STORED_AND_FENCED) {
        for (int i = threadIdx.x; i < TILE; i += WARPGROUP) shared->a[i] = to_bf16(1);
        if (MISTAKE == STORED_AND_FENCED) fence_proxy_async();
        __syncwarp();
        if (lane() == 0) mbarrier_arrive(&shared->aFull);
    }
    float s[8][4], sum[8][4] = {};
    mbarrier_wait(&shared->aFull, 0);
    for (int t = 0; t < tiles; t++) {
        const bf16* tile = shared->b[t % STAGES];
        if (MISTAKE != NO_WAIT_FOR_COPY) mbarrier_wait(&shared->full[t % STAGES], t / STAGES % 2);
        wgmma_hold(s);
        if (MISTAKE != NO_FENCE) wgmma_fence();
        for (int k = 0; k < 4; k++)
            wgmma(s, matrix_descriptor(shared->a + 16 * k, 16), matrix_descriptor(tile + 16 * k, 16), k > 0);
        wgmma_commit();
        if (MISTAKE != NO_WAIT_FOR_PRODUCT) wgmma_wait<0>();
        wgmma_hold(s);
        uint32_t p[8][2];
        for (int n = 0; n < 8; n++) p[n][0] = pack_bf16(s[n][0], s[n][1]), p[n][1] = pack_bf16(s[n][2], s[n][3]);
        wgmma_hold(sum);
        wgmma_fence();
        for (int k = 0; k < 4; k++) {
            const uint32_t left[4] = {p[2 * k][0], p[2 * k][1], p[2 * k + 1][0], p[2 * k + 1][1]};
            wgmma(sum, left, matrix_descriptor(tile + 16 * k * 64, TILE * int(sizeof(bf16))));
        }
        wgmma_commit();
        if (MISTAKE == PLACE_GIVEN_BACK_EARLY) {
            __syncwarp();
            if (lane() == 0) mbarrier_arrive(&shared->empty[t % STAGES]);
        }
        if (MISTAKE != PRODUCT_LEFT_UNDER_WAY || t + 1 < tiles) wgmma_wait<0>();
        wgmma_hold(sum);
        if (MISTAKE != PLACE_GIVEN_BACK_EARLY) {
            __syncwarp();
            if (lane() == 0) mbarrier_arrive(&shared->empty[t % STAGES]);
        }
    }
    for (int n = 0; n < 8; n++)
        for (int i = 0; i < 4; i++) out[(16 * warp() + 8 * (i / 2) + lane() / 4) * 64 + 8 * n + lane() % 4 * 2 + i % 2] = sum[n][i];
}

#define WALK(name, mistake)                                                                             \
    extern "C" __global__ void name(float* out, const TensorMap* a, const TensorMap* b, int32_t tiles) { \
        walk<mistake>(out, a, b, tiles);                                                                 \
    }                                                                                                   \
    KERNEL(name)
WALK(right, NONE)
WALK(no_wait_for_copy, NO_WAIT_FOR_COPY)
WALK(no_wait_for_product, NO_WAIT_FOR_PRODUCT)
WALK(no_fence, NO_FENCE)
WALK(place_given_back_early, PLACE_GIVEN_BACK_EARLY)
WALK(place_not_waited_for, PLACE_NOT_WAITED_FOR)
WALK(too_many_bytes_expected, TOO_MANY_BYTES_EXPECTED)
WALK(stored_by_hand, STORED_BY_HAND)
WALK(stored_and_fenced, STORED_AND_FENCED)
WALK(tile_not_aligned, TILE_NOT_ALIGNED)
WALK(product_left_under_way, PRODUCT_LEFT_UNDER_WAY)
WALK(copy_left_under_way, COPY_LEFT_UNDER_WAY)
