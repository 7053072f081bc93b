// attention_hopper.cu: attention.cu for compute capability 9.0: the same passes, by tensor copies and the products of warpgroups
// Shapes     as attention.cu. The maps are of qk, qkv and dO as (columns, T, B), boxes of 64 columns, 64 rows, 128-byte swizzle:
//            rows beyond a sequence are zeros
// Accepts    as attention.cu; empty on other devices
// Launch     block: two warpgroups that compute, 64 rows each, and one that copies, of which one warp works. Grid: as many blocks as
//            multiprocessors, but no more than pairs of tiles; a block is dealt pairs (Owned). A tile has 128 rows: queries, queries
//            and keys of forward, backward_queries and backward_keys, which walk over keys 128, keys 64 and queries 64 at a time.
//            shared memory, KiB: D 64: 97, 114, 115   D 128: 193, 226, 227
// Traffic    DRAM as attention.cu. From L2 to an SM a tile of keys and values serves 128 queries: at the tensor cores' peak 32 bytes a
//            clock, of about 27 that an SM gets when all ask
// FLOPs      as attention.cu: backward 3.5 times forward done for 2.5 counted. Shared memory, 128 bytes a clock, is 62 to 83 % as
//            busy as the tensor cores; exponentials, 16 a clock, take as long as the forward products at D 64 and half as long
//            at D 128, and what else a score needs about as long as its products at D 64: groups at different places hide it.
//            Predicted on one H200, TFLOP/s forward, forward + backward: D 64, T 1024: 270, 230; D 128, T 2048: 430, 330
// Exactness  as attention.cu, but for the order of sums inside wgmma: bitwise repeatable
// Reference  Shah and others 2024, arXiv:2407.08608: who copies and who computes; scores of a tile are made while the values of the
//            last one are added up. Definition in PlainAttention
#include "attention_hopper.cuh"

namespace attention_hopper {

#if HOPPER

// ---- forward: each group walks the keys from the diagonal down, one tile's scores ahead of the values ---------------------------

template <int D>
DEVICE void forward(bf16* o, float* lse, const TensorMap& qkMap, const TensorMap& qkvMap, const int32_t* docStarts, int B, int T,
                    int H, int G) {
    using Shared = Forward<D>;
    constexpr int KEYS = Shared::KEYS, STAGES = Shared::STAGES, N = KEYS / 8;
    DYNAMIC_SHARED(Shared, shared);
    begin_block(shared, shared->keyRing, qkMap, qkvMap);
    if (threadIdx.x == 0) init(shared->valueRing);
    rings_are_made();
    Owned own{T, H, B};
    int step = 0;

    const int group = group_of_warp();
    if (group == GROUPS) {
        give_back_registers<40>();
        if (threadIdx.x != GROUPS * WARPGROUP) return;
        for (; own.more(); own.next()) {
            const int h = own.head(), z = own.sequence(), g = h / (H / G), first = own.first();
            const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + int64_t(z) * T;
            const KeyTiles tiles = key_tiles<KEYS>(queries_from<ROWS>(first, docStart, T), T);
            wait_empty(shared->own, own.index);
            MBarrier* full = &shared->own[own.index % OWN].full;
            shared->jobs[own.index % OWN] = {first, h, z, tiles.first, tiles.last};
            copy_tile<D, ROWS>(shared->q[own.index % OWN], qkMap, h * D, first, z, full);
            mbarrier_arrive(full);
            for (int key = tiles.last; key >= tiles.first; key -= KEYS, step++) {
                wait_empty(shared->keyRing, step);
                full = &shared->keyRing[step % STAGES].full;
                copy_tile<D, KEYS>(shared->k[step % STAGES], qkMap, (H + g) * D, key, z, full);
                mbarrier_arrive(full);
                wait_empty(shared->valueRing, step);
                full = &shared->valueRing[step % STAGES].full;
                copy_tile<D, KEYS>(shared->v[step % STAGES], qkvMap, (H + G + g) * D, key, z, full);
                mbarrier_arrive(full);
            }
        }
        wait_empty(shared->own, own.index);
        say_no_more(shared, own.index);
        return;
    }

    take_registers<232>();
    const int groupRow = group * GROUP_ROWS;
    for (int index = 0, times = 0;; index++) {
        wait_full(shared->own, index);
        const Job& job = shared->jobs[index % OWN];
        const int first = job.first;
        if (first < 0) return;
        const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + int64_t(job.sequence) * T;
        const auto mine = queries_from<GROUP_ROWS>(first + groupRow, docStart, T);
        const auto rows = queries_from<16>(mine.row + 16 * warp_of_group(), docStart, T); // of this warp
        const KeyTiles seen = mine.row < T ? key_tiles<KEYS>(mine, T) : KeyTiles{0, job.from - KEYS};
        bf16* q = shared->q[index % OWN];
        int key = job.to;
        for (; key > seen.last; key -= KEYS, step++) pass_by(shared->keyRing, step), pass_by(shared->valueRing, step);
        if (key >= job.from) {
            float o_D[1][D / 8][4] = {}, peak[1][2] = {{HIDDEN, HIDDEN}}, sum[1][2] = {}, shrink[1][2], s[1][N][4];
            uint32_t p[1][N][2];
            wait_full(shared->keyRing, step);
            wgmma_hold(s[0]);
            wgmma_fence();
            start_dot_rows<D, ROWS, KEYS>(s[0], q, groupRow, shared->k[step % STAGES]);
            wgmma_commit();
            wgmma_wait<0>();
            wgmma_hold(s[0]);
            done_with(shared->keyRing, step);
            hide(s, rows, key, T);
            raise_peaks<D>(peak, sum, shrink, s);
            exponentials<D>(s, sum, peak);
            as_left_operand(p, s);
            for (key -= KEYS; key >= seen.first; key -= KEYS) {
                const int before = step++;
                wait_full(shared->keyRing, step);
                wgmma_hold(s[0]);
                wgmma_hold(o_D[0]);
                wgmma_fence();
                start_dot_rows<D, ROWS, KEYS>(s[0], q, groupRow, shared->k[step % STAGES]);
                wgmma_commit();
                wait_full(shared->valueRing, before);
                wgmma_fence();
                start_add_product<D, KEYS>(o_D[0], p[0], shared->v[before % STAGES]);
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
            start_add_product<D, KEYS>(o_D[0], p[0], shared->v[step % STAGES]);
            wgmma_commit();
            wgmma_wait<0>();
            wgmma_hold(o_D[0]);
            done_with(shared->valueRing, step++);
            for (; key >= job.from; key -= KEYS, step++) pass_by(shared->keyRing, step), pass_by(shared->valueRing, step);

            meet(&shared->met[group], times++);
            const int64_t sequence = int64_t(job.sequence) * T;
            float inverse[1][2];
            finish_softmax<D>(inverse, lse + sequence * H + job.head, sum, peak, rows.row, T, H);
            store_rows<D, ROWS>(o + sequence * H * D + job.head * D, H * D, rows.row, T, o_D, inverse, q, rows.row - first);
            fence_proxy_async();
        }
        done_with(shared->own, index);
    }
}

// ---- backward, queries: dQ; first rowStats ----------------------------------------------------------------------------------------
template <int D>
DEVICE void backward_queries(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, const TensorMap& qkMap,
                             const TensorMap& qkvMap, const TensorMap& dOMap, const int32_t* docStarts, int B, int T, int H, int G) {
    using Shared = BackwardQueries<D>;
    constexpr int KEYS = Shared::KEYS, STAGES = Shared::STAGES, N = KEYS / 8;
    DYNAMIC_SHARED(Shared, shared);
    begin_block(shared, shared->ring, qkMap, qkvMap, dOMap);
    rings_are_made();
    Owned own{T, H, B};
    int step = 0;

    const int group = group_of_warp();
    if (group == GROUPS) {
        give_back_registers<40>();
        if (threadIdx.x != GROUPS * WARPGROUP) return;
        for (; own.more(); own.next()) {
            const int h = own.head(), z = own.sequence(), g = h / (H / G), first = own.first();
            const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + int64_t(z) * T;
            const KeyTiles tiles = key_tiles<KEYS>(queries_from<ROWS>(first, docStart, T), T);
            wait_empty(shared->own, own.index);
            MBarrier* full = &shared->own[own.index % OWN].full;
            shared->jobs[own.index % OWN] = {first, h, z, tiles.first, tiles.last};
            copy_tile<D, ROWS>(shared->q[own.index % OWN], qkMap, h * D, first, z, full);
            copy_tile<D, ROWS>(shared->dO[own.index % OWN], dOMap, h * D, first, z, full);
            mbarrier_arrive(full);
            for (int key = tiles.first; key <= tiles.last; key += KEYS, step++) {
                wait_empty(shared->ring, step);
                full = &shared->ring[step % STAGES].full;
                copy_tile<D, KEYS>(shared->k[step % STAGES], qkMap, (H + g) * D, key, z, full);
                copy_tile<D, KEYS>(shared->v[step % STAGES], qkvMap, (H + G + g) * D, key, z, full);
                mbarrier_arrive(full);
            }
        }
        wait_empty(shared->own, own.index);
        say_no_more(shared, own.index);
        return;
    }

    take_registers<232>();
    const int groupRow = group * GROUP_ROWS, tileRow = groupRow + 16 * warp_of_group();
    for (int index = 0;; index++) {
        wait_full(shared->own, index);
        const Job& job = shared->jobs[index % OWN];
        const int first = job.first;
        if (first < 0) return;
        const int h = job.head;
        const int64_t sequence = int64_t(job.sequence) * T, headOut = sequence * H * D + h * D, R = int64_t(B) * T;
        const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + sequence;
        const auto mine = queries_from<GROUP_ROWS>(first + groupRow, docStart, T);
        const auto rows = queries_from<16>(first + tileRow, docStart, T);
        bf16 *q = shared->q[index % OWN], *dOut = shared->dO[index % OWN];
        row_stats<D, 16>(shared->stats + tileRow, rowStats + h * R + sequence, dO + headOut, o + headOut, lse + sequence * H + h,
                         rows.row, T, H);
        float2 stat[2];
        UNROLL
        for (int half = 0; half < 2; half++) stat[half] = shared->stats[tileRow + 8 * half + lane() / 4];
        __syncwarp(); // the next tile's come to the same place

        // A tile's products with its keys are left under way until the next one's scores are.
        const KeyTiles seen = mine.row < T ? key_tiles<KEYS>(mine, T) : KeyTiles{job.to + KEYS, job.to};
        float dQuery[1][D / 8][4] = {};
        int key = job.from;
        for (; key < seen.first && key <= job.to; key += KEYS, step++) pass_by(shared->ring, step);
        const int firstStep = step;
        for (; key <= seen.last; key += KEYS, step++) {
            const bf16 *k = shared->k[step % STAGES], *v = shared->v[step % STAGES];
            float s[1][N][4], dP[1][N][4];
            wait_full(shared->ring, step);
            wgmma_hold(s[0]);
            wgmma_hold(dP[0]);
            wgmma_fence();
            start_dot_rows<D, ROWS, KEYS>(s[0], q, groupRow, k);
            wgmma_commit();
            start_dot_rows<D, ROWS, KEYS>(dP[0], dOut, groupRow, v);
            wgmma_commit();
            wgmma_wait<2>();
            if (step > firstStep) done_with(shared->ring, step - 1);
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
        }
        wgmma_wait<0>();
        wgmma_hold(dQuery[0]);
        if (step > firstStep) done_with(shared->ring, step - 1);
        for (; key <= job.to; key += KEYS, step++) pass_by(shared->ring, step);
        meet(&shared->met[group], index);
        if (mine.row < T) {
            bf16* dQueries = dQk + int64_t(job.sequence) * T * (H + G) * D + job.head * D;
            store_rows<D, ROWS>(dQueries, (H + G) * D, rows.row, T, dQuery, SCALE<D>, q, tileRow);
            fence_proxy_async();
        }
        done_with(shared->own, index);
    }
}

// ---- backward, keys: dK and dV of a tile of keys of one key/value head, over the queries of each head of its group; scores are made
// transposed, keys down and queries across ------------------------------------------------------------------------------------------
template <int D>
DEVICE void backward_keys(bf16* dQk, bf16* dQkv, const float2* rowStats, const TensorMap& qkMap, const TensorMap& qkvMap,
                          const TensorMap& dOMap, const int32_t* docStarts, int B, int T, int H, int G) {
    using Shared = BackwardKeys<D>;
    constexpr int QUERIES = Shared::QUERIES, STAGES = Shared::STAGES, N = QUERIES / 8;
    DYNAMIC_SHARED(Shared, shared);
    begin_block(shared, shared->ring, qkMap, qkvMap, dOMap);
    rings_are_made();
    const int heads = H / G;
    Owned own{T, G, B};
    int step = 0;

    const int group = group_of_warp();
    if (group == GROUPS) {
        give_back_registers<40>();
        if (warp_of_group() != 0) return;
        for (; own.more(); own.next())
            bring_keys_and_queries<D>(shared, own.index, step, own.first(), false, own.head(), own.sequence(), rowStats, qkMap, qkvMap,
                                      dOMap, docStarts, B, T, H, G);
        wait_empty(shared->own, own.index);
        if (lane() == 0) say_no_more(shared, own.index);
        return;
    }

    take_registers<232>();
    const int groupRow = group * GROUP_ROWS, tileRow = groupRow + 16 * warp_of_group();
    const bool documents = docStarts != nullptr;
    for (int index = 0;; index++) {
        wait_full(shared->own, index);
        const Job& job = shared->jobs[index % OWN];
        const int first = job.first;
        if (first < 0) return;
        const int groupKey = first + groupRow, warpKey = first + tileRow;
        bf16 *k = shared->k[index % OWN], *v = shared->v[index % OWN];
        float dKey[1][D / 8][4] = {}, dValue[1][D / 8][4] = {};
        for (int h = 0, query = job.from; h < heads; step++) {
            const int place = step % STAGES;
            const bf16 *q = shared->q[place], *dOut = shared->dO[place];
            wait_full(shared->ring, step);
            bool seen = groupKey < T && query + QUERIES > groupKey; // some query sees some key
            bool masked = query < warpKey + 15;                     // some query of the tile does not see some key of the warp
            if (documents) {
                seen &= shared->docStart[place][0] < groupKey + GROUP_ROWS;
                masked |= shared->docStart[place][min(QUERIES, T - query) - 1] > warpKey;
            }
            if (seen) {
                uint32_t p[1][N][2], dScore[1][N][2];
                scores_of_keys<D>(p, dScore, k, v, groupRow, q, dOut, shared->stats[place], masked, warpKey, query,
                                  documents ? shared->docStart[place] : nullptr);
                start_key_gradients<D>(dKey[0], dValue[0], dScore[0], p[0], q, dOut);
                wgmma_wait<0>();
                wgmma_hold(dValue[0]);
                wgmma_hold(dKey[0]);
            }
            done_with(shared->ring, step);
            query += QUERIES;
            if (query > job.to) query = job.from, h++; // the next head's
        }
        meet(&shared->met[group], index);
        if (groupKey < T) store_key_gradients<D>(dQk, dQkv, dKey, dValue, k, v, job, warpKey, tileRow, T, H, G);
        done_with(shared->own, index);
    }
}

#endif // HOPPER

} // namespace attention_hopper

#define ATTENTION_HOPPER(D)                                                                                                    \
    HOPPER_KERNEL(forward_##D)(bf16* o, float* lse, MAP qk, MAP qkv, const int32_t* docStart, int32_t B, int32_t T, int32_t H, \
                               int32_t G) {                                                                                    \
        ON_HOPPER(forward<D>(o, lse, qk, qkv, docStart, B, T, H, G));                                                          \
    }                                                                                                                          \
    KERNEL(attention_hopper_forward_##D)                                                                                       \
    HOPPER_KERNEL(backward_queries_##D)(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, MAP qk,  \
                                        MAP qkv, MAP dOMap, const int32_t* docStart, int32_t B, int32_t T, int32_t H,          \
                                        int32_t G) {                                                                           \
        ON_HOPPER(backward_queries<D>(dQk, rowStats, dO, o, lse, qk, qkv, dOMap, docStart, B, T, H, G));                       \
    }                                                                                                                          \
    KERNEL(attention_hopper_backward_queries_##D)                                                                              \
    HOPPER_KERNEL(backward_keys_##D)(bf16* dQk, bf16* dQkv, const float2* rowStats, MAP qk, MAP qkv, MAP dO,                   \
                                     const int32_t* docStart, int32_t B, int32_t T, int32_t H, int32_t G) {                    \
        ON_HOPPER(backward_keys<D>(dQk, dQkv, rowStats, qk, qkv, dO, docStart, B, T, H, G));                                   \
    }                                                                                                                          \
    KERNEL(attention_hopper_backward_keys_##D)
ATTENTION_HOPPER(64)
ATTENTION_HOPPER(128)
