// attention_hopper_heads.cu: the backward pass for compute capability 9.0 by blocks that take whole heads, with five products for seven
// Shapes     as attention.cu; sums: for each block (H / G, tiles of 64 queries, D / 64, 8, 128 threads, 4) f32, scratch
// Accepts    as attention_hopper.cu. rowStats by row_stats, before
// Launch     row_stats: 4 warps, each 32 rows (D 64) or 16 (D 128) of a sequence; grid (T / rows, H, B). heads: block as attention_hopper.cu;
//            grid: multiprocessors, but no more than B G; a block takes key/value heads blockIdx.x, + gridDim.x .. of all sequences.
//            HopperAttention takes these kernels where that keeps the multiprocessors busy. shared memory, KiB: D 64: 147, D 128: 226
// Traffic    DRAM bytes, each thing once: 2 R D (5H + 4G) + 20 R H. q, dO and sums of all blocks' heads are read again for each tile of
//            keys: 69 MB at ado-124m, 268 MB at ado-1.3b, of which L2 holds 50. Walking up and down by turns, 20 of 72 and 200 of 272 steps
//            miss it if it forgets what is oldest (30 and 260 if all went up): 0.8 and 2.6 TB/s at the rates below
// FLOPs      2.5 times forward, as many as are counted; 1.12 (T 1024) and 1.06 (T 2048) times as many done, as tiles of 64 x 128 reach
//            across the diagonal. Scores and dP are made once: dQ of a tile of queries is summed in global memory, by the same threads
//            of one block each time, in the order of keys: no lock and no order between blocks. Shared memory is busier than the tensor
//            cores, 1.2 times at D 64 and 1.1 at D 128; exponentials 40 % and 20 %. Predicted on one H200, TFLOP/s: D 64, T 1024: 300;
//            D 128, T 2048: 385
// Exactness  as attention.cu, but for the order of sums inside wgmma and of dQ, by tiles of 128 keys: bitwise repeatable
// Reference  as attention_hopper.cu, but for dQ: in that paper blocks that have a tile of keys each add to it
#include "attention_hopper.cuh"

namespace attention_hopper {

#if HOPPER

template <int D>
constexpr int STATS_ROWS = D == 64 ? 32 : 16; // that a warp of row_stats reads at once
constexpr int STATS_WARPS = 4;

template <int D>
DEVICE void all_row_stats(float2* rowStats, const bf16* dO, const bf16* o, const float* lse, int B, int T, int H) {
    const int first = (blockIdx.x * STATS_WARPS + warp()) * STATS_ROWS<D>, h = blockIdx.y;
    if (first >= T) return;
    const int64_t sequence = int64_t(blockIdx.z) * T, head = sequence * H * D + h * D;
    row_stats<D, STATS_ROWS<D>>(nullptr, rowStats + int64_t(h) * B * T + sequence, dO + head, o + head, lse + sequence * H + h, first, T, H);
}

// ---- dQ: tiles of 64 queries by 64 columns, which a group makes, the same one each time; sums are kept as its threads have them ---------
template <int D>
constexpr int PANELS = D / BOX_COLUMNS;

// A tile of queries whose gradients of scores are stored and wait for their product with the keys.
struct Waiting {
    int query, head; // first of the tile; of those that share the keys
    bool fresh;      // these keys are the first that the queries see: there is no sum yet
};

// D 128: each group makes a panel of each tile. D 64: they take tiles in turn.
template <int D>
DEVICE bool makes(int group, const Waiting& x) {
    return PANELS<D> == GROUPS || x.query / GROUP_ROWS % GROUPS == group;
}

template <int D, typename Sums>
DEVICE Sums* sums_of(Sums* sums, int head, int query, int panel, int T) {
    const int tiles = (T + GROUP_ROWS - 1) / GROUP_ROWS;
    return sums + (int64_t(head * tiles + query / GROUP_ROWS) * PANELS<D> + panel) * (BOX_COLUMNS / 8 * WARPGROUP);
}

template <int D>
DEVICE void start_query_gradients(float (&dQ)[8][4], const bf16* dScores, const bf16* k, int panel) {
    constexpr int PANEL = ROWS * BOX_COLUMNS;
    const uint64_t a = matrix_descriptor(dScores, PANEL * int(sizeof(bf16)));
    const uint64_t b = matrix_descriptor(k + panel * PANEL, PANEL * int(sizeof(bf16)));
    wgmma_hold(dQ);
    wgmma_fence();
    UNROLL
    for (int row = 0; row < ROWS; row += 16)
        wgmma<SIDE_BY_SIDE>(dQ, a + further(row * BOX_COLUMNS), b + further(row * BOX_COLUMNS), row > 0);
    wgmma_commit();
}

// Of this warp's 16 keys, into rows of a tile of keys by 64 queries.
DEVICE void store_scores(bf16* tile, int tileRow, const uint32_t (&dScore)[8][2]) {
    UNROLL
    for (int n = 0; n < 8; n++)
        UNROLL
        for (int half = 0; half < 2; half++)
            *reinterpret_cast<uint32_t*>(tile + at<BOX_COLUMNS>(tileRow + 8 * half + lane() / 4, n / 2, n % 2) + lane() % 4 * 2) =
                dScore[n][half];
}

DEVICE void add_query_gradients(float4* sums, const float (&dQ)[8][4], bool fresh) {
    float4* mine = sums + threadIdx.x % WARPGROUP;
    UNROLL
    for (int n = 0; n < 8; n++) {
        const float4 x = make_float4(dQ[n][0], dQ[n][1], dQ[n][2], dQ[n][3]);
        if (fresh) mine[n * WARPGROUP] = x;
        else add_4(&mine[n * WARPGROUP], x);
    }
}

// Lanes whose numbers differ in one bit exchange: those without it their `high` for the others' `low`.
DEVICE void exchange(uint32_t& low, uint32_t& high, int bit) {
    const bool has = (lane() & bit) != 0;
    const uint32_t got = __shfl_xor_sync(ALL_LANES, has ? low : high, bit);
    low = has ? got : low;
    high = has ? high : got;
}
// Word i of lane q of each four lanes becomes word q of lane i.
DEVICE void transpose_quad(uint32_t (&words)[4]) {
    exchange(words[0], words[1], 1);
    exchange(words[2], words[3], 1);
    exchange(words[0], words[2], 2);
    exchange(words[1], words[3], 2);
}

// Of the copying group's other warps: stores dQ of those ROWS queries from `first` whose sums are ready.
template <int D>
DEVICE void store_query_gradients(bf16* dQk, const float4* sums, int first, int pair, int T, int H, int G) {
    constexpr int UNITS = ROWS / 16 * PANELS<D> * 2; // 16 queries by 32 columns
    const int heads = H / G, stride = (H + G) * D;
    UNROLL_BY(1)
    for (int unit = warp_of_group() - 1; unit < heads * UNITS; unit += 3) {
        const int head = unit / UNITS, column = unit % (2 * PANELS<D>) * 32, query = first + unit % UNITS / (2 * PANELS<D>) * 16;
        if (query >= T) continue;
        const float4* from = sums_of<D>(sums, head, query, column / BOX_COLUMNS, T) + query % GROUP_ROWS * 2 +
                             column % BOX_COLUMNS / 8 * WARPGROUP + lane();
        uint32_t upper[4], lower[4]; // rows of the 16, eight columns each
        UNROLL
        for (int n = 0; n < 4; n++) {
            const float4 x = __ldcg(&from[n * WARPGROUP]);
            upper[n] = pack_bf16(x.x * SCALE<D>, x.y * SCALE<D>);
            lower[n] = pack_bf16(x.z * SCALE<D>, x.w * SCALE<D>);
        }
        transpose_quad(upper);
        transpose_quad(lower);
        const int row = query + lane() / 4;
        bf16* to = dQk + int64_t(pair / G) * T * stride + row * stride + (pair % G * heads + head) * D + column + lane() % 4 * 8;
        if (row < T) store_16(to, make_uint4(upper[0], upper[1], upper[2], upper[3]));
        if (row + 8 < T) store_16(to + 8 * stride, make_uint4(lower[0], lower[1], lower[2], lower[3]));
    }
}

// Before dQ of `x` is written where a head before it had its own: until that is stored. A warp that has stored a tile has stored all before;
// the sums of all tiles of the head but its last were read two tiles ago, those of the last one tile ago. With documents the first keys that
// queries see may come later, when more is stored.
DEVICE void wait_for_sums(Place (&finished)[2], const Waiting& x, int index, int T) {
    if (x.fresh) wait_empty(finished, x.query < (T - 1) / ROWS * ROWS ? index : index + 1);
}

template <int D>
DEVICE void backward_heads(bf16* dQk, bf16* dQkv, float4* allSums, const float2* rowStats, const TensorMap& qkMap,
                           const TensorMap& qkvMap, const TensorMap& dOMap, const int32_t* docStarts, int B, int T, int H, int G) {
    using Shared = BackwardHeads<D>;
    constexpr int QUERIES = Shared::QUERIES, STAGES = Shared::STAGES, N = QUERIES / 8;
    DYNAMIC_SHARED(Shared, shared);
    begin_block(shared, shared->ring, qkMap, qkvMap, dOMap);
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2; i++) {
            mbarrier_init(&shared->scores[i].full, 4 * GROUPS);
            mbarrier_init(&shared->scores[i].empty, 4 * GROUPS);
            mbarrier_init(&shared->finished[i].full, 4 * GROUPS);
            mbarrier_init(&shared->finished[i].empty, 3);
        }
    }
    rings_are_made();
    const int heads = H / G;
    float4* const sums = sums_of<D>(allSums, blockIdx.x * heads, 0, 0, T);
    int step = 0, index = 0;

    const int group = group_of_warp();
    if (group == GROUPS) {
        give_back_registers<56>();
        if (warp_of_group() > 0) {
            for (int pair = blockIdx.x; pair < B * G; pair += gridDim.x)
                for (int first = 0; first < T; first += ROWS, index++) {
                    wait_full(shared->finished, index);
                    store_query_gradients<D>(dQk, sums, first, pair, T, H, G);
                    done_with(shared->finished, index);
                }
            return;
        }
        for (int pair = blockIdx.x; pair < B * G; pair += gridDim.x)
            for (int first = 0; first < T; first += ROWS, index++)
                // Up and down by turns: what of a head's queries was read last is read first again, from L2. A head's first tile goes up.
                bring_keys_and_queries<D>(shared, index, step, first, first / ROWS % 2 != 0, pair % G, pair / G, rowStats, qkMap, qkvMap,
                                          dOMap, docStarts, B, T, H, G);
        wait_empty(shared->own, index);
        if (lane() == 0) say_no_more(shared, index);
        return;
    }

    take_registers<224>();
    const int groupRow = group * GROUP_ROWS, tileRow = groupRow + 16 * warp_of_group(), panel = PANELS<D> == GROUPS ? group : 0;
    const bool documents = docStarts != nullptr;
    for (;; index++) {
        wait_full(shared->own, index);
        const Job& job = shared->jobs[index % OWN];
        const int first = job.first;
        if (first < 0) return;
        const int groupKey = first + groupRow, warpKey = first + tileRow;
        bf16 *k = shared->k[index % OWN], *v = shared->v[index % OWN];
        float dKey[1][D / 8][4] = {}, dValue[1][D / 8][4] = {};
        const int stride = job.from <= job.to ? QUERIES : -QUERIES;
        Waiting last{-1, 0, false};
        for (int h = 0, query = job.from; h < heads; step++) {
            const int place = step % STAGES;
            const bf16 *q = shared->q[place], *dOut = shared->dO[place];
            wait_full(shared->ring, step);
            bool seen = groupKey < T && query + QUERIES > groupKey; // some query sees some key of the group
            bool masked = query < warpKey + 15;                     // some query of the tile does not see some key of the warp
            int from = 0;                                           // the first key that the queries see
            if (documents) {
                from = shared->docStart[place][0];
                seen &= from < groupKey + GROUP_ROWS;
                masked |= shared->docStart[place][min(QUERIES, T - query) - 1] > warpKey;
            }
            // Zeros where the group sees nothing: its products are with them.
            uint32_t p[1][N][2] = {}, dScore[1][N][2] = {};
            if (seen)
                scores_of_keys<D>(p, dScore, k, v, groupRow, q, dOut, shared->stats[place], masked, warpKey, query,
                                  documents ? shared->docStart[place] : nullptr);
            wait_empty(shared->scores, step);
            store_scores(shared->dScores[step % 2], tileRow, dScore[0]);
            fence_proxy_async();
            warp_arrives(&shared->scores[step % 2].full);
            if (last.query >= 0 && makes<D>(group, last)) {
                float dQ[8][4];
                wait_full(shared->scores, step - 1);
                start_query_gradients<D>(dQ, shared->dScores[(step - 1) % 2], k, panel);
                start_key_gradients<D>(dKey[0], dValue[0], dScore[0], p[0], q, dOut);
                wgmma_wait<1>();
                wgmma_hold(dQ);
                wait_for_sums(shared->finished, last, index, T);
                add_query_gradients(sums_of<D>(sums, last.head, last.query, panel, T), dQ, last.fresh);
            } else {
                start_key_gradients<D>(dKey[0], dValue[0], dScore[0], p[0], q, dOut);
            }
            wgmma_wait<0>();
            wgmma_hold(dValue[0]);
            wgmma_hold(dKey[0]);
            done_with(shared->ring, step);
            if (last.query >= 0) done_with(shared->scores, step - 1);
            last = Waiting{query, h, first == from / ROWS * ROWS};
            query += stride;
            if (query == job.to + stride) query = job.from, h++; // the next head's
        }
        if (makes<D>(group, last)) {
            float dQ[8][4];
            wait_full(shared->scores, step - 1);
            start_query_gradients<D>(dQ, shared->dScores[(step - 1) % 2], k, panel);
            wgmma_wait<0>();
            wgmma_hold(dQ);
            wait_for_sums(shared->finished, last, index, T);
            add_query_gradients(sums_of<D>(sums, last.head, last.query, panel, T), dQ, last.fresh);
        }
        done_with(shared->scores, step - 1);
        wait_empty(shared->finished, index);
        warp_arrives(&shared->finished[index % 2].full);
        meet(&shared->met[group], index);
        // both by way of v: the other group may still multiply with k
        if (groupKey < T) store_key_gradients<D>(dQk, dQkv, dKey, dValue, v, v, job, warpKey, tileRow, T, H, G);
        done_with(shared->own, index);
    }
}

#endif // HOPPER

} // namespace attention_hopper

#define ATTENTION_HOPPER_HEADS(D)                                                                                                \
    extern "C" __global__ void __launch_bounds__(4 * WARP) attention_hopper_row_stats_##D(                                       \
        float2* rowStats, const bf16* dO, const bf16* o, const float* lse, int32_t B, int32_t T, int32_t H) {                    \
        ON_HOPPER(all_row_stats<D>(rowStats, dO, o, lse, B, T, H));                                                              \
    }                                                                                                                            \
    KERNEL(attention_hopper_row_stats_##D)                                                                                       \
    HOPPER_KERNEL(backward_heads_##D)(bf16* dQk, bf16* dQkv, float4* sums, const float2* rowStats, MAP qk, MAP qkv, MAP dO,      \
                                      const int32_t* docStart, int32_t B, int32_t T, int32_t H, int32_t G) {                     \
        ON_HOPPER(backward_heads<D>(dQk, dQkv, sums, rowStats, qk, qkv, dO, docStart, B, T, H, G));                              \
    }                                                                                                                            \
    KERNEL(attention_hopper_backward_heads_##D)
ATTENTION_HOPPER_HEADS(64)
ATTENTION_HOPPER_HEADS(128)
