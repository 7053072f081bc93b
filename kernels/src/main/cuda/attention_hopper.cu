// attention_hopper.cu: attention.cu for compute capability 9.0: the same passes, by tensor copies and the products of warpgroups
// Shapes     as attention.cu. The maps are of qk, qkv and dO as (columns, T, B), boxes of 64 columns, 64 rows, 128-byte swizzle:
//            rows beyond a sequence are zeros
// Accepts    as attention.cu; empty on other devices
// Launch     block: warpgroups that compute, 64 rows each, and one that copies, of which one warp works; one block an SM. Grid (tiles
//            of a sequence, heads, B), tiles with most work first. (forward, backward_queries, backward_keys):
//            tile: queries, queries, keys          D 64: 128, 192, 128   D 128: 128, 128, 128
//            walks over: keys, keys, queries       128, 64, 64; as places of a ring 2, 3, 3
//            shared memory, KiB                    D 64: 81, 98, 83      D 128: 161, 162, 163
// Traffic    DRAM as attention.cu. From L2 to an SM a tile of keys and values serves 128 or 192 queries: at the tensor cores' peak
//            32 and 21 bytes a clock, of about 27 that an SM gets when all ask
// FLOPs      as attention.cu: backward 3.5 times forward done for 2.5 counted. Shared memory, 128 bytes a clock, is 62 to 83 % as
//            busy as the tensor cores; exponentials, 64 a clock, take a quarter of the forward products' time at D 64 and an eighth
//            at D 128, and what else a score needs about as long as its products at D 64: groups at different places hide it.
//            Predicted on one H200, TFLOP/s forward, forward + backward: D 64, T 1024: 250, 220; D 128, T 2048: 420, 320
// Exactness  as attention.cu, but for the order of sums inside wgmma: bitwise repeatable
// Reference  Shah and others 2024, arXiv:2407.08608: who copies and who computes; scores of a tile are made while the values of the
//            last one are added up. Definition in PlainAttention
#include "attention.cuh"
#include "hopper.cuh"

namespace attention_hopper {

constexpr int GROUP_ROWS = 64;

// ---- what a block has in shared memory -----------------------------------------------------------------------------------------------
// A place of a ring: full when its copies have been brought, empty when each warp that computes has come.
struct Place {
    MBarrier full, empty;
};

template <int D>
struct Forward {
    static constexpr int GROUPS = 2, ROWS = GROUPS * GROUP_ROWS, KEYS = 128, STAGES = 2;
    alignas(1024) bf16 q[ROWS * D];
    alignas(1024) bf16 k[STAGES][KEYS * D], v[STAGES][KEYS * D];
    MBarrier queries;
    Place keyRing[STAGES], valueRing[STAGES];
};

template <int D>
struct BackwardQueries {
    static constexpr int GROUPS = D == 64 ? 3 : 2, ROWS = GROUPS * GROUP_ROWS, KEYS = 64, STAGES = 3;
    alignas(1024) bf16 q[ROWS * D];
    alignas(1024) bf16 dO[ROWS * D];
    alignas(1024) bf16 k[STAGES][KEYS * D], v[STAGES][KEYS * D];
    alignas(16) float2 stats[ROWS];
    MBarrier queries;
    Place ring[STAGES];
};

template <int D>
struct BackwardKeys {
    static constexpr int GROUPS = 2, ROWS = GROUPS * GROUP_ROWS, QUERIES = 64, STAGES = 3;
    alignas(1024) bf16 k[ROWS * D];
    alignas(1024) bf16 v[ROWS * D];
    alignas(1024) bf16 q[STAGES][QUERIES * D], dO[STAGES][QUERIES * D];
    alignas(16) float2 stats[STAGES][QUERIES];
    alignas(16) int32_t docStart[STAGES][QUERIES];
    MBarrier keys;
    Place ring[STAGES];
};

#if HOPPER

using namespace attention;

constexpr int BOX_ROWS = 64, BOX_COLUMNS = 64;

// ---- who does what ---------------------------------------------------------------------------------------------------------------
// Groups 0 .. GROUPS - 1 compute, the last one copies. Registers are given out by the warpgroup: 512 a lane of each for all.
DEVICE int group() { return int(threadIdx.x) / WARPGROUP; }
DEVICE int warp_of_group() { return warp() % 4; }

template <int GROUPS>
DEVICE void begin_to_copy() {
    give_back_registers<GROUPS == 2 ? 24 : 32>();
}
template <int GROUPS>
DEVICE void begin_to_compute() {
    take_registers<GROUPS == 2 ? 240 : 160>();
}

template <int GROUPS>
DEVICE void init(Place& place) {
    mbarrier_init(&place.full, 1);
    mbarrier_init(&place.empty, 4 * GROUPS);
}
// Steps of a walk take the places in turn.
template <int STAGES>
DEVICE void wait_full(Place (&ring)[STAGES], int step) {
    mbarrier_wait(&ring[step % STAGES].full, step / STAGES % 2);
}
template <int STAGES>
DEVICE void wait_empty(Place (&ring)[STAGES], int step) {
    mbarrier_wait(&ring[step % STAGES].empty, step / STAGES % 2 ^ 1);
}
template <int STAGES>
DEVICE void done_with(Place (&ring)[STAGES], int step) { // this warp is
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(&ring[step % STAGES].empty);
}

// ---- tiles: panels of ROWS rows by 64 columns, D / 64 of them ------------------------------------------------------------------------

// Starts to copy ROWS rows from `row` of sequence z, D columns from `column`.
template <int D, int ROWS>
DEVICE void copy_tile(bf16* tile, const TensorMap& map, int column, int row, int z, MBarrier* b) {
    mbarrier_expect(b, ROWS * D * int(sizeof(bf16)));
    UNROLL
    for (int panel = 0; panel < D / BOX_COLUMNS; panel++)
        UNROLL
        for (int box = 0; box < ROWS / BOX_ROWS; box++)
            tensor_copy(tile + (panel * ROWS + box * BOX_ROWS) * BOX_COLUMNS, map, column + panel * BOX_COLUMNS,
                        row + box * BOX_ROWS, z, b);
}

// s (64 x RIGHT) = 64 rows of `left` from leftRow times all rows of `right`, transposed; both D wide. Starts it.
template <int D, int LEFT, int RIGHT>
DEVICE void start_dot_rows(float (&s)[RIGHT / 8][4], const bf16* left, int leftRow, const bf16* right) {
    UNROLL
    for (int k = 0; k < D / 16; k++) {
        const int panel = k / 4, step = k % 4 * 16; // elements; within a row, as swizzling goes by address
        wgmma(s, matrix_descriptor(left + (panel * LEFT + leftRow) * BOX_COLUMNS + step, 16),
              matrix_descriptor(right + panel * RIGHT * BOX_COLUMNS + step, 16), k > 0);
    }
}

// c (64 x D) += p (64 x RIGHT) times all rows of `right`. Starts it.
template <int D, int RIGHT>
DEVICE void start_add_product(float (&c)[D / 8][4], const uint32_t (&p)[RIGHT / 8][2], const bf16* right) {
    UNROLL
    for (int k = 0; k < RIGHT / 16; k++) {
        const uint32_t a[4] = {p[2 * k][0], p[2 * k][1], p[2 * k + 1][0], p[2 * k + 1][1]};
        wgmma(c, a, matrix_descriptor(right + 16 * k * BOX_COLUMNS, RIGHT * BOX_COLUMNS * int(sizeof(bf16))));
    }
}

// ---- forward: each group walks the keys from the diagonal down, one tile's scores ahead of the values ---------------------------

// A tile that this group's queries do not see.
template <int D>
DEVICE void pass_by(Forward<D>* shared, int step) {
    wait_full(shared->keyRing, step);
    done_with(shared->keyRing, step);
    wait_full(shared->valueRing, step);
    done_with(shared->valueRing, step);
}

template <int D>
DEVICE void forward(bf16* o, float* lse, const TensorMap& qkMap, const TensorMap& qkvMap, const int32_t* docStart, int T, int H,
                    int G) {
    using Shared = Forward<D>;
    constexpr int GROUPS = Shared::GROUPS, KEYS = Shared::KEYS, N = KEYS / 8;
    DYNAMIC_SHARED(Shared, shared);
    const int h = blockIdx.y, z = blockIdx.z, g = h / (H / G), first = int(gridDim.x - 1 - blockIdx.x) * Shared::ROWS;
    const int64_t sequence = int64_t(z) * T;
    if (docStart != nullptr) docStart += sequence;
    const KeyTiles tiles = key_tiles<KEYS>(queries_from<Shared::ROWS>(first, docStart, T), T);

    if (threadIdx.x == 0) {
        mbarrier_init(&shared->queries, 1);
        for (int i = 0; i < Shared::STAGES; i++) init<GROUPS>(shared->keyRing[i]), init<GROUPS>(shared->valueRing[i]);
        mbarrier_init_fence();
    }
    __syncthreads();

    if (group() == GROUPS) {
        begin_to_copy<GROUPS>();
        if (threadIdx.x != GROUPS * WARPGROUP) return;
        copy_tile<D, Shared::ROWS>(shared->q, qkMap, h * D, first, z, &shared->queries);
        mbarrier_arrive(&shared->queries);
        int step = 0;
        for (int key = tiles.last; key >= tiles.first; key -= KEYS, step++) {
            wait_empty(shared->keyRing, step);
            copy_tile<D, KEYS>(shared->k[step % Shared::STAGES], qkMap, (H + g) * D, key, z, &shared->keyRing[step % Shared::STAGES].full);
            mbarrier_arrive(&shared->keyRing[step % Shared::STAGES].full);
            wait_empty(shared->valueRing, step);
            copy_tile<D, KEYS>(shared->v[step % Shared::STAGES], qkvMap, (H + G + g) * D, key, z, &shared->valueRing[step % Shared::STAGES].full);
            mbarrier_arrive(&shared->valueRing[step % Shared::STAGES].full);
        }
        return;
    }

    begin_to_compute<GROUPS>();
    const auto mine = queries_from<GROUP_ROWS>(first + group() * GROUP_ROWS, docStart, T);
    const auto rows = queries_from<16>(mine.row + 16 * warp_of_group(), docStart, T); // of this warp
    const KeyTiles own = mine.row < T ? key_tiles<KEYS>(mine, T) : KeyTiles{tiles.last + KEYS, tiles.first - KEYS};
    int step = 0;
    int key = tiles.last;
    for (; key > own.last; key -= KEYS, step++) pass_by(shared, step);
    if (mine.row >= T) return;

    float o_D[1][D / 8][4] = {}, peak[1][2] = {{HIDDEN, HIDDEN}}, sum[1][2] = {}, shrink[1][2], s[1][N][4];
    uint32_t p[1][N][2];
    mbarrier_wait(&shared->queries, 0);
    wait_full(shared->keyRing, step);
    wgmma_hold(s[0]);
    wgmma_fence();
    start_dot_rows<D, Shared::ROWS, KEYS>(s[0], shared->q, group() * GROUP_ROWS, shared->k[step % Shared::STAGES]);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(s[0]);
    done_with(shared->keyRing, step);
    hide(s, rows, key, T);
    raise_peaks<D>(peak, sum, shrink, s);
    exponentials<D>(s, sum, peak);
    as_left_operand(p, s);
    for (key -= KEYS; key >= own.first; key -= KEYS) {
        const int before = step++;
        wait_full(shared->keyRing, step);
        wgmma_hold(s[0]);
        wgmma_hold(o_D[0]);
        wgmma_fence();
        start_dot_rows<D, Shared::ROWS, KEYS>(s[0], shared->q, group() * GROUP_ROWS, shared->k[step % Shared::STAGES]);
        wgmma_commit();
        wait_full(shared->valueRing, before);
        wgmma_fence();
        start_add_product<D, KEYS>(o_D[0], p[0], shared->v[before % Shared::STAGES]);
        wgmma_commit();
        wgmma_wait<1>();
        wgmma_hold(s[0]);
        done_with(shared->keyRing, step);
        hide(s, rows, key, T);
        const bool raised = raise_peaks<D>(peak, sum, shrink, s);
        exponentials<D>(s, sum, peak);
        wgmma_wait<0>();
        wgmma_hold(o_D[0]);
        done_with(shared->valueRing, before);
        if (raised) shrink_rows(o_D, shrink);
        as_left_operand(p, s);
    }
    wait_full(shared->valueRing, step);
    wgmma_hold(o_D[0]);
    wgmma_fence();
    start_add_product<D, KEYS>(o_D[0], p[0], shared->v[step % Shared::STAGES]);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(o_D[0]);
    done_with(shared->valueRing, step);
    for (step++; key >= tiles.first; key -= KEYS, step++) pass_by(shared, step);

    float inverse[1][2];
    finish_softmax<D>(inverse, lse + sequence * H + h, sum, peak, rows.row, T, H);
    store_rows<D, Shared::ROWS>(o + sequence * H * D + h * D, H * D, rows.row, T, o_D, inverse, shared->q, rows.row - first);
}

// ---- backward, queries: dQ; first rowStats ----------------------------------------------------------------------------------------

template <int D>
DEVICE void backward_queries(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, const TensorMap& qkMap,
                             const TensorMap& qkvMap, const TensorMap& dOMap, const int32_t* docStart, int T, int H, int G) {
    using Shared = BackwardQueries<D>;
    constexpr int GROUPS = Shared::GROUPS, KEYS = Shared::KEYS, N = KEYS / 8;
    DYNAMIC_SHARED(Shared, shared);
    const int h = blockIdx.y, z = blockIdx.z, g = h / (H / G), first = int(gridDim.x - 1 - blockIdx.x) * Shared::ROWS;
    const int64_t sequence = int64_t(z) * T, R = int64_t(gridDim.z) * T;
    if (docStart != nullptr) docStart += sequence;
    const KeyTiles tiles = key_tiles<KEYS>(queries_from<Shared::ROWS>(first, docStart, T), T);

    if (threadIdx.x == 0) {
        mbarrier_init(&shared->queries, 1);
        for (int i = 0; i < Shared::STAGES; i++) init<GROUPS>(shared->ring[i]);
        mbarrier_init_fence();
    }
    __syncthreads();

    if (group() == GROUPS) {
        begin_to_copy<GROUPS>();
        if (threadIdx.x != GROUPS * WARPGROUP) return;
        copy_tile<D, Shared::ROWS>(shared->q, qkMap, h * D, first, z, &shared->queries);
        copy_tile<D, Shared::ROWS>(shared->dO, dOMap, h * D, first, z, &shared->queries);
        mbarrier_arrive(&shared->queries);
        int step = 0;
        for (int key = tiles.first; key <= tiles.last; key += KEYS, step++) {
            wait_empty(shared->ring, step);
            MBarrier* full = &shared->ring[step % Shared::STAGES].full;
            copy_tile<D, KEYS>(shared->k[step % Shared::STAGES], qkMap, (H + g) * D, key, z, full);
            copy_tile<D, KEYS>(shared->v[step % Shared::STAGES], qkvMap, (H + G + g) * D, key, z, full);
            mbarrier_arrive(full);
        }
        return;
    }

    begin_to_compute<GROUPS>();
    const int groupRow = group() * GROUP_ROWS, tileRow = groupRow + 16 * warp_of_group();
    const auto mine = queries_from<GROUP_ROWS>(first + groupRow, docStart, T);
    const auto rows = queries_from<16>(first + tileRow, docStart, T);
    const int64_t headOut = sequence * H * D + h * D;
    row_stats<D, 16>(shared->stats + tileRow, rowStats + h * R + sequence, dO + headOut, o + headOut, lse + sequence * H + h, rows.row,
                     T, H);
    float2 stat[2];
    UNROLL
    for (int half = 0; half < 2; half++) stat[half] = shared->stats[tileRow + 8 * half + lane() / 4];

    float dQuery[1][D / 8][4] = {};
    mbarrier_wait(&shared->queries, 0);
    int step = 0;
    for (int key = tiles.first; key <= tiles.last; key += KEYS, step++) {
        const bf16 *k = shared->k[step % Shared::STAGES], *v = shared->v[step % Shared::STAGES];
        wait_full(shared->ring, step);
        if (mine.row < T && sees<KEYS>(mine, key)) {
            float s[1][N][4], dP[1][N][4];
            wgmma_hold(s[0]);
            wgmma_hold(dP[0]);
            wgmma_fence();
            start_dot_rows<D, Shared::ROWS, KEYS>(s[0], shared->q, groupRow, k);
            wgmma_commit();
            start_dot_rows<D, Shared::ROWS, KEYS>(dP[0], shared->dO, groupRow, v);
            wgmma_commit();
            wgmma_wait<1>();
            wgmma_hold(s[0]);
            hide(s, rows, key, T);
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 0; i < 4; i++) s[0][n][i] = fast_exp2(s[0][n][i] * BASE2<D> - stat[i / 2].x);
            wgmma_wait<0>();
            wgmma_hold(dP[0]);
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 0; i < 4; i++) s[0][n][i] *= dP[0][n][i] - stat[i / 2].y;
            uint32_t dScore[1][N][2];
            as_left_operand(dScore, s);
            wgmma_hold(dQuery[0]);
            wgmma_fence();
            start_add_product<D, KEYS>(dQuery[0], dScore[0], k);
            wgmma_commit();
            wgmma_wait<0>();
            wgmma_hold(dQuery[0]);
        }
        done_with(shared->ring, step);
    }
    if (mine.row >= T) return;
    store_rows<D, Shared::ROWS>(dQk + sequence * (H + G) * D + h * D, (H + G) * D, rows.row, T, dQuery, SCALE<D>, shared->q, tileRow);
}

// ---- backward, keys: dK and dV of a tile of keys of one key/value head, over the queries of each head of its group; scores are made
// transposed, keys down and queries across ------------------------------------------------------------------------------------------

template <int D>
DEVICE void backward_keys(bf16* dQk, bf16* dQkv, const float2* rowStats, const TensorMap& qkMap, const TensorMap& qkvMap,
                          const TensorMap& dOMap, const int32_t* docStart, int T, int H, int G) {
    using Shared = BackwardKeys<D>;
    constexpr int GROUPS = Shared::GROUPS, QUERIES = Shared::QUERIES, N = QUERIES / 8;
    DYNAMIC_SHARED(Shared, shared);
    const int first = int(blockIdx.x) * Shared::ROWS, g = blockIdx.y, z = blockIdx.z, heads = H / G;
    const int64_t sequence = int64_t(z) * T, R = int64_t(gridDim.z) * T;
    if (docStart != nullptr) docStart += sequence;
    const int firstQuery = first / QUERIES * QUERIES, tiles = query_tiles<QUERIES>(first, Shared::ROWS, docStart, T);

    if (threadIdx.x == 0) {
        mbarrier_init(&shared->keys, 1);
        for (int i = 0; i < Shared::STAGES; i++) init<GROUPS>(shared->ring[i]);
        mbarrier_init_fence();
    }
    __syncthreads();

    if (group() == GROUPS) {
        begin_to_copy<GROUPS>();
        if (warp_of_group() != 0) return;
        if (lane() == 0) {
            copy_tile<D, Shared::ROWS>(shared->k, qkMap, (H + g) * D, first, z, &shared->keys);
            copy_tile<D, Shared::ROWS>(shared->v, qkvMap, (H + G + g) * D, first, z, &shared->keys);
            mbarrier_arrive(&shared->keys);
        }
        int step = 0;
        for (int h = g * heads; h < (g + 1) * heads; h++)
            for (int tile = 0; tile < tiles; tile++, step++) {
                const int query = firstQuery + tile * QUERIES, place = step % Shared::STAGES;
                MBarrier* full = &shared->ring[place].full;
                wait_empty(shared->ring, step);
                if (lane() == 0) {
                    copy_tile<D, QUERIES>(shared->q[place], qkMap, h * D, query, z, full);
                    copy_tile<D, QUERIES>(shared->dO[place], dOMap, h * D, query, z, full);
                }
                const float2* stats = rowStats + h * R + sequence + query;
                for (int i = lane(); i < QUERIES; i += WARP) {
                    const bool inside = query + i < T;
                    shared->stats[place][i] = inside ? stats[i] : make_float2(0, 0);
                    if (docStart != nullptr) shared->docStart[place][i] = inside ? docStart[query + i] : 0;
                }
                __syncwarp();
                if (lane() == 0) mbarrier_arrive(full);
            }
        return;
    }

    begin_to_compute<GROUPS>();
    const int groupRow = group() * GROUP_ROWS, tileRow = groupRow + 16 * warp_of_group();
    const int groupKey = first + groupRow, warpKey = first + tileRow;
    float dKey[1][D / 8][4] = {}, dValue[1][D / 8][4] = {};
    mbarrier_wait(&shared->keys, 0);
    int step = 0;
    for (int h = 0; h < heads; h++)
        for (int tile = 0; tile < tiles; tile++, step++) {
            const int query = firstQuery + tile * QUERIES, place = step % Shared::STAGES, queries = min(QUERIES, T - query);
            const bf16 *q = shared->q[place], *dO = shared->dO[place];
            const float2* stats = shared->stats[place];
            const int32_t* from = docStart != nullptr ? shared->docStart[place] : nullptr;
            wait_full(shared->ring, step);
            bool seen = groupKey < T && query + QUERIES > groupKey; // some query sees some key
            bool masked = query < warpKey + 15;                     // some query of the tile does not see some key of the warp
            if (from != nullptr) {
                seen &= from[0] < groupKey + GROUP_ROWS;
                masked |= from[queries - 1] > warpKey;
            }
            if (seen) {
                float s[1][N][4], dP[1][N][4];
                wgmma_hold(s[0]);
                wgmma_hold(dP[0]);
                wgmma_fence();
                start_dot_rows<D, Shared::ROWS, QUERIES>(s[0], shared->k, groupRow, q);
                wgmma_commit();
                start_dot_rows<D, Shared::ROWS, QUERIES>(dP[0], shared->v, groupRow, dO);
                wgmma_commit();
                wgmma_wait<1>();
                wgmma_hold(s[0]);
                if (masked) hide_transposed(s, warpKey, query, from);
                UNROLL
                for (int n = 0; n < N; n++) {
                    const float4 pair = *reinterpret_cast<const float4*>(stats + 8 * n + lane() % 4 * 2); // of a query and the next
                    UNROLL
                    for (int i = 0; i < 4; i++) s[0][n][i] = fast_exp2(s[0][n][i] * BASE2<D> - (i % 2 == 0 ? pair.x : pair.z));
                }
                uint32_t p[1][N][2], dScore[1][N][2];
                as_left_operand(p, s);
                wgmma_wait<0>();
                wgmma_hold(dP[0]);
                UNROLL
                for (int n = 0; n < N; n++) {
                    const float4 pair = *reinterpret_cast<const float4*>(stats + 8 * n + lane() % 4 * 2);
                    UNROLL
                    for (int i = 0; i < 4; i++) s[0][n][i] *= dP[0][n][i] - (i % 2 == 0 ? pair.y : pair.w);
                }
                as_left_operand(dScore, s);
                wgmma_hold(dValue[0]);
                wgmma_hold(dKey[0]);
                wgmma_fence();
                start_add_product<D, QUERIES>(dValue[0], p[0], dO);
                start_add_product<D, QUERIES>(dKey[0], dScore[0], q);
                wgmma_commit();
                wgmma_wait<0>();
                wgmma_hold(dValue[0]);
                wgmma_hold(dKey[0]);
            }
            done_with(shared->ring, step);
        }
    if (groupKey >= T) return;
    bf16* dKeys = dQk + sequence * (H + G) * D + (H + g) * D;
    bf16* dValues = dQkv + sequence * (H + 2 * G) * D + (H + G + g) * D;
    store_rows<D, Shared::ROWS>(dKeys, (H + G) * D, warpKey, T, dKey, SCALE<D>, shared->k, tileRow);
    store_rows<D, Shared::ROWS>(dValues, (H + 2 * G) * D, warpKey, T, dValue, 1.0f, shared->v, tileRow);
}

#define ON_HOPPER(call) attention_hopper::call
#else
#define ON_HOPPER(call) (void)0
#endif

} // namespace attention_hopper

#define ATTENTION_HOPPER(D)                                                                                       \
    extern "C" __global__ void __launch_bounds__((attention_hopper::Forward<D>::GROUPS + 1) * WARPGROUP, 1) \
        attention_hopper_forward_##D(bf16* o, float* lse, const __grid_constant__ TensorMap qk,                                 \
                                     const __grid_constant__ TensorMap qkv, const int32_t* docStart, int32_t T, int32_t H,      \
                                     int32_t G) {                                                                               \
        ON_HOPPER(forward<D>(o, lse, qk, qkv, docStart, T, H, G));                                                              \
    }                                                                                                                          \
    KERNEL(attention_hopper_forward_##D)                                                                                        \
    extern "C" __global__ void __launch_bounds__((attention_hopper::BackwardQueries<D>::GROUPS + 1) * WARPGROUP, 1) \
        attention_hopper_backward_queries_##D(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse,     \
                                              const __grid_constant__ TensorMap qk, const __grid_constant__ TensorMap qkv,      \
                                              const __grid_constant__ TensorMap dOMap, const int32_t* docStart, int32_t T,      \
                                              int32_t H, int32_t G) {                                                           \
        ON_HOPPER(backward_queries<D>(dQk, rowStats, dO, o, lse, qk, qkv, dOMap, docStart, T, H, G));                           \
    }                                                                                                                          \
    KERNEL(attention_hopper_backward_queries_##D)                                                                               \
    extern "C" __global__ void __launch_bounds__((attention_hopper::BackwardKeys<D>::GROUPS + 1) * WARPGROUP, 1) \
        attention_hopper_backward_keys_##D(bf16* dQk, bf16* dQkv, const float2* rowStats,                                       \
                                           const __grid_constant__ TensorMap qk, const __grid_constant__ TensorMap qkv,         \
                                           const __grid_constant__ TensorMap dOMap, const int32_t* docStart, int32_t T,         \
                                           int32_t H, int32_t G) {                                                              \
        ON_HOPPER(backward_keys<D>(dQk, dQkv, rowStats, qk, qkv, dOMap, docStart, T, H, G));                                    \
    }                                                                                                                          \
    KERNEL(attention_hopper_backward_keys_##D)
ATTENTION_HOPPER(64)
ATTENTION_HOPPER(128)
