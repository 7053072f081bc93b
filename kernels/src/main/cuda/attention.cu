// attention.cu: o[t] = sum_s p[t,s] v[s],  p[t,s] = exp(q[t].k[s] / sqrt(D) - lse[t]),  s from docStart[t] to t
// Shapes     qk (R, (H+G) D): queries, then keys; qkv (R, (H+2G) D): only the values, its last G heads, are read, and in dQkv
//            written; o, dO (R, H D); all bf16. lse (R, H) f32, natural log. rowStats (H, R, 2) f32: lse * log2 e and
//            delta = dO . o of a row and head. docStart (R) i32, not falling within a sequence, or null. R = B T.
// Accepts    D 64 and 128, T a multiple of 8, H a multiple of G. The launcher checks, the kernel trusts.
// Launch     block 4 warps; grid (tiles of a sequence, heads, B), tiles with most work first.
//            tile: queries 128 (forward, backward_queries), keys 128 at D 64 and 64 at D 128 (backward_keys)
//            shared memory, KiB:  D 64: 32, 65, 65.5   D 128: 64, 97, 97.5   (forward, backward_queries, backward_keys)
// Traffic    DRAM bytes as long as a sequence's keys and values stay in L2: forward 2 R D (2H + 2G) + 4 R H,
//            backward 2 R D (6H + 6G) + 20 R H (q, k, v and dO are read by both kernels)
// FLOPs      forward 2 R T D H: causal, half of what a full square takes. Backward 2.5 times as many by convention, 3.5 times
//            as many done: both kernels make scores and dP, so that each owns what it sums and none needs atomics. Compute
//            bound: mma.sync reaches about 0.62 of Hopper's tensor peak, and shared memory, 128 bytes a clock, is as busy.
//            Predicted on one H200, TFLOP/s forward, forward + backward: D 64, T 1024: 245, 175; D 128, T 2048: 310, 197
// Exactness  scores, softmax and sums f32; p and dScore are rounded to bf16 for the second product; every sum has a fixed
//            order: bitwise repeatable
// Reference  Dao 2023, arXiv:2307.08691, algorithms 1 and 2; definition in PlainAttention
#include "attention.cuh"

namespace attention {

constexpr int WARPS = 4, THREADS = WARPS * WARP;
constexpr int QUERY_TILE = 128; // 32 rows a warp: each fragment read from shared memory feeds two products

// ---- tiles in shared memory, and operands from them -----------------------------------------------------------------------------
// Starts to copy rows first .. first + ROWS - 1 of a sequence of T rows; zeros beyond its end.
template <int D, int ROWS>
DEVICE void load_tile(bf16* tile, const bf16* rows, int stride, int first, int T) {
    constexpr int CHUNKS = D / 8, STEP = THREADS / CHUNKS; // rows that the block copies at a time
    const int row = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS, valid = T - first - row;
    bf16* to = tile + at<D>(row, chunk / 2, chunk % 2);
    const bf16* from = rows + (first + row) * stride + chunk * 8;
    UNROLL
    for (int i = 0; i < ROWS; i += STEP) {
        cp_async_16(to + i * D, from, i < valid);
        from += STEP * stride;
    }
}

// Left operand of a product: 16 rows from `first`, columns 16 k to 16 k + 15.
template <int D>
DEVICE void load_left(uint32_t (&a)[4], const bf16* tile, int first, int k) {
    ldmatrix_x4(a, tile + first * D + at<D>(lane() % 16, k, lane() / 16));
}
// Right operand, columns n of it being rows of the tile: 16 rows from `first`, columns 16 k to 16 k + 15.
template <int D>
DEVICE void load_right_transposed(uint32_t (&b)[4], const bf16* tile, int first, int k) {
    ldmatrix_x4(b, tile + first * D + at<D>(lane() / 16 * 8 + lane() % 8, k, lane() / 8 % 2));
}
// Right operand as it lies: 16 rows from `first`, columns 16 n to 16 n + 15.
template <int D>
DEVICE void load_right(uint32_t (&b)[4], const bf16* tile, int first, int n) {
    ldmatrix_x4_transposed(b, tile + first * D + at<D>(lane() % 16, n, lane() / 16));
}
// 16 columns of a product: b as load_right leaves it.
DEVICE void multiply(float (&c0)[4], float (&c1)[4], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
    const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
    mma_16x8x16(c0, a, b0);
    mma_16x8x16(c1, a, b1);
}

// ---- the two products that all is made of; a warp's rows are 16 M, as accumulators c[m][n] of 16 x 8 -----------------------
// Element i of c[m][n] is row 16 m + 8 (i / 2) + lane / 4, column 8 n + 2 (lane % 4) + i % 2 (common.cuh).

// c (16 M x 8 N) = rows of `left` times rows of `right`, transposed; both D wide.
template <int D, int M, int N>
DEVICE void dot_rows(float (&c)[M][N][4], const bf16* left, int leftRow, const bf16* right, int rightRow) {
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int n = 0; n < N; n++)
            UNROLL
            for (int i = 0; i < 4; i++) c[m][n][i] = 0;
    UNROLL_BY(2) // not by all: with more fragments under way registers run out
    for (int k = 0; k < D / 16; k++) {
        uint32_t a[M][4], b[4];
        UNROLL
        for (int m = 0; m < M; m++) load_left<D>(a[m], left, leftRow + 16 * m, k);
        UNROLL
        for (int n = 0; n < N / 2; n++) {
            load_right_transposed<D>(b, right, rightRow + 16 * n, k);
            UNROLL
            for (int m = 0; m < M; m++) multiply(c[m][2 * n], c[m][2 * n + 1], a[m], b);
        }
    }
}

// c (16 M x D) += p (16 M x 8 N) times 8 N rows of `right`.
template <int D, int M, int N>
DEVICE void add_product(float (&c)[M][D / 8][4], const uint32_t (&p)[M][N][2], const bf16* right, int rightRow) {
    UNROLL
    for (int k = 0; k < N / 2; k++)
        UNROLL
        for (int n = 0; n < D / 16; n++) {
            uint32_t b[4];
            load_right<D>(b, right, rightRow + 16 * k, n);
            UNROLL
            for (int m = 0; m < M; m++) {
                const uint32_t a[4] = {p[m][2 * k][0], p[m][2 * k][1], p[m][2 * k + 1][0], p[m][2 * k + 1][1]};
                multiply(c[m][2 * n], c[m][2 * n + 1], a, b);
            }
        }
}

// ---- queries: what forward and backward_queries share ----------------------------------------------------------------------
constexpr int WARP_QUERIES = QUERY_TILE / WARPS;
// A head of a sequence, from the sequence's first row, and a block's tile of its queries.
struct Head {
    const bf16 *queries, *keys, *values;
    Queries<QUERY_TILE> block;
    Queries<WARP_QUERIES> warp;
};

template <int D>
DEVICE Head head_of_block(const bf16* qk, const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    const int64_t sequence = int64_t(blockIdx.z) * T;
    const int h = blockIdx.y, g = h / (H / G), first = int(gridDim.x - 1 - blockIdx.x) * QUERY_TILE; // most work first
    if (docStart != nullptr) docStart += sequence;
    qk += sequence * (H + G) * D;
    qkv += sequence * (H + 2 * G) * D;
    return {qk + h * D, qk + (H + g) * D, qkv + (H + G + g) * D, queries_from<QUERY_TILE>(first, docStart, T),
            queries_from<WARP_QUERIES>(first + WARP_QUERIES * warp(), docStart, T)};
}

// ---- forward: a block owns a tile of queries of one head and walks the keys from the diagonal down, so that the first tile of
// keys a warp meets holds the own key of each of its rows ------------------------------------------------------------------
template <int D>
DEVICE void forward(bf16* o, float* lse, const bf16* qk, const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    constexpr int M = 2, KEY_TILE = 64, N = KEY_TILE / 8;
    DYNAMIC_SHARED(bf16, q);
    bf16 *k = q + QUERY_TILE * D, *v = k + KEY_TILE * D;

    const Head x = head_of_block<D>(qk, qkv, docStart, T, H, G);
    const KeyTiles tiles = key_tiles<KEY_TILE>(x.block, T);
    const int qkWidth = (H + G) * D, qkvWidth = (H + 2 * G) * D, tileRow = WARP_QUERIES * warp();
    float sum_o[M][D / 8][4] = {}, peak[M][2], sum[M][2] = {};
    UNROLL
    for (int m = 0; m < M; m++) peak[m][0] = peak[m][1] = HIDDEN;

    load_tile<D, QUERY_TILE>(q, x.queries, qkWidth, x.block.row, T);
    load_tile<D, KEY_TILE>(k, x.keys, qkWidth, tiles.last, T);
    cp_async_commit();
    for (int key = tiles.last; key >= tiles.first; key -= KEY_TILE) {
        const bool seen = sees<KEY_TILE>(x.warp, key);
        uint32_t p[M][N][2];

        cp_async_wait<0>();
        __syncthreads(); // this tile's keys are here, and the values before have been read
        load_tile<D, KEY_TILE>(v, x.values, qkvWidth, key, T);
        cp_async_commit();
        if (seen) {
            float s[M][N][4], shrink[M][2];
            dot_rows<D>(s, q, tileRow, k, 0);
            hide(s, x.warp, key, T);
            if (raise_peaks<D>(peak, sum, shrink, s)) shrink_rows(sum_o, shrink);
            exponentials<D>(s, sum, peak);
            as_left_operand(p, s);
        }
        cp_async_wait<0>();
        __syncthreads(); // this tile's values are here, and its keys have been read
        if (key > tiles.first) load_tile<D, KEY_TILE>(k, x.keys, qkWidth, key - KEY_TILE, T);
        cp_async_commit();
        if (seen) add_product<D>(sum_o, p, v, 0);
    }

    const int64_t sequence = int64_t(blockIdx.z) * T;
    const int h = blockIdx.y;
    float inverse[M][2];
    finish_softmax<D>(inverse, lse + sequence * H + h, sum, peak, x.warp.row, T, H);
    store_rows<D>(o + sequence * H * D + h * D, H * D, x.warp.row, T, sum_o, inverse, q, tileRow);
}

// ---- backward, queries: a block owns a tile of queries of one head and sums dQ over its keys; first it makes rowStats ------
template <int D>
struct KeyPlace { // a tile of keys and their values; scores, dP and dQ of it fill the registers
    static constexpr int KEYS = 4096 / D;
    alignas(128) bf16 k[KEYS * D], v[KEYS * D];
};

template <int D>
DEVICE void load_place(KeyPlace<D>& place, const Head& x, int key, int T, int H, int G) {
    load_tile<D, KeyPlace<D>::KEYS>(place.k, x.keys, (H + G) * D, key, T);
    load_tile<D, KeyPlace<D>::KEYS>(place.v, x.values, (H + 2 * G) * D, key, T);
}

// dScore = p (dO . v - delta), dQ = sum_s dScore k / sqrt(D); p is made again from lse.
template <int D>
DEVICE void backward_queries(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, const bf16* qk,
                             const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    constexpr int M = 2, KEY_TILE = KeyPlace<D>::KEYS, N = KEY_TILE / 8;
    DYNAMIC_SHARED(bf16, q);
    bf16* dOut = q + QUERY_TILE * D;
    KeyPlace<D>* ring = reinterpret_cast<KeyPlace<D>*>(dOut + QUERY_TILE * D); // two places
    float2* stats = reinterpret_cast<float2*>(ring + 2);

    const Head x = head_of_block<D>(qk, qkv, docStart, T, H, G);
    const KeyTiles tiles = key_tiles<KEY_TILE>(x.block, T);
    const int64_t sequence = int64_t(blockIdx.z) * T, rows = int64_t(gridDim.z) * T;
    const int h = blockIdx.y, first = x.block.row, tileRow = WARP_QUERIES * warp();
    const int64_t headOut = sequence * H * D + h * D;
    load_tile<D, QUERY_TILE>(q, x.queries, (H + G) * D, first, T);
    load_tile<D, QUERY_TILE>(dOut, dO + headOut, H * D, first, T);
    load_place(ring[tiles.first / KEY_TILE % 2], x, tiles.first, T, H, G);
    cp_async_commit();
    row_stats<D, WARP_QUERIES>(stats + tileRow, rowStats + h * rows + sequence, dO + headOut, o + headOut, lse + sequence * H + h,
                               x.warp.row, T, H);
    float2 stat[M][2];
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) stat[m][half] = stats[tileRow + 16 * m + 8 * half + lane() / 4];

    float dQuery[M][D / 8][4] = {};
    for (int key = tiles.first; key <= tiles.last; key += KEY_TILE) {
        const KeyPlace<D>& place = ring[key / KEY_TILE % 2];
        cp_async_wait<0>();
        __syncthreads(); // this tile is here, and the other place has been read
        if (key < tiles.last) load_place(ring[(key / KEY_TILE + 1) % 2], x, key + KEY_TILE, T, H, G);
        cp_async_commit();
        if (!sees<KEY_TILE>(x.warp, key)) continue;
        float s[M][N][4], dP[M][N][4];
        dot_rows<D>(s, q, tileRow, place.k, 0);
        hide(s, x.warp, key, T);
        dot_rows<D>(dP, dOut, tileRow, place.v, 0);
        UNROLL
        for (int m = 0; m < M; m++)
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 0; i < 4; i++)
                    s[m][n][i] = fast_exp2(s[m][n][i] * BASE2<D> - stat[m][i / 2].x) * (dP[m][n][i] - stat[m][i / 2].y);
        uint32_t dScore[M][N][2];
        as_left_operand(dScore, s);
        add_product<D>(dQuery, dScore, place.k, 0);
    }
    store_rows<D>(dQk + sequence * (H + G) * D + h * D, (H + G) * D, x.warp.row, T, dQuery, SCALE<D>, q, tileRow);
}

// ---- backward, keys: a block owns a tile of keys of one key/value head and sums dK and dV over the queries that see them, one
// query head of its group after the other. Scores are made transposed, keys down and queries across, so that p and dScore are
// left operands where they stand. -------------------------------------------------------------------------------------------
template <int D>
struct QueryPlace { // what a tile of queries brings along
    static constexpr int QUERIES = 64;
    alignas(128) bf16 q[QUERIES * D], dO[QUERIES * D];
    alignas(16) float2 stats[QUERIES];
    alignas(16) int32_t docStart[QUERIES];
};

template <int D>
DEVICE void load_place(QueryPlace<D>& place, const bf16* queries, int qkWidth, const bf16* dO, int oWidth,
                       const float2* stats, const int32_t* docStart, int first, int T) {
    constexpr int QUERIES = QueryPlace<D>::QUERIES;
    load_tile<D, QUERIES>(place.q, queries, qkWidth, first, T);
    load_tile<D, QUERIES>(place.dO, dO, oWidth, first, T);
    const int t = threadIdx.x; // 16 bytes are 2 rows of stats, 4 of docStart; T is a multiple of both
    if (t < QUERIES / 2) cp_async_16(place.stats + 2 * t, stats + first + 2 * t, first + 2 * t < T);
    if (docStart != nullptr && t < QUERIES / 4)
        cp_async_16(place.docStart + 4 * t, docStart + first + 4 * t, first + 4 * t < T);
}

// dV = sum_t p dO, dK = sum_t dScore q / sqrt(D) over queries t.
template <int D>
DEVICE void backward_keys(bf16* dQk, bf16* dQkv, const float2* rowStats, const bf16* dO, const bf16* qk, const bf16* qkv,
                          const int32_t* docStart, int T, int H, int G) {
    using Place = QueryPlace<D>;
    constexpr int M = 128 / D, KEY_TILE = WARPS * 16 * M;              // dK and dV of 16 M keys fill half the registers,
    constexpr int QUERY_STEP = Place::QUERIES / M, N = QUERY_STEP / 8; // scores and dP of QUERY_STEP queries a quarter
    DYNAMIC_SHARED(bf16, k);
    bf16* v = k + KEY_TILE * D;
    Place* ring = reinterpret_cast<Place*>(v + KEY_TILE * D); // two places

    const int first = int(blockIdx.x) * KEY_TILE, g = blockIdx.y, group = H / G;
    const int64_t sequence = int64_t(blockIdx.z) * T, rows = int64_t(gridDim.z) * T;
    const int qkWidth = (H + G) * D, qkvWidth = (H + 2 * G) * D, oWidth = H * D;
    if (docStart != nullptr) docStart += sequence;
    const bf16* groupQueries = qk + sequence * qkWidth + g * group * D;
    const bf16* groupDOut = dO + sequence * oWidth + g * group * D;
    const float2* groupStats = rowStats + g * group * rows + sequence;

    const int firstTile = first / Place::QUERIES, tiles = query_tiles<Place::QUERIES>(first, KEY_TILE, docStart, T);
    load_tile<D, KEY_TILE>(k, qk + sequence * qkWidth + (H + g) * D, qkWidth, first, T);
    load_tile<D, KEY_TILE>(v, qkv + sequence * qkvWidth + (H + G + g) * D, qkvWidth, first, T);
    load_place(ring[0], groupQueries, qkWidth, groupDOut, oWidth, groupStats, docStart, firstTile * Place::QUERIES, T);
    cp_async_commit();

    const int warpRow = first + 16 * M * warp(); // the warp's first key
    float dKey[M][D / 8][4] = {}, dValue[M][D / 8][4] = {};
    for (int step = 0, head = 0, tile = 0; step < group * tiles; step++) {
        const Place& place = ring[step % 2];
        const int tileQuery = (firstTile + tile) * Place::QUERIES;
        cp_async_wait<0>();
        __syncthreads(); // this tile is here, and the other place has been read
        if (++tile == tiles) tile = 0, head++;
        if (head < group)
            load_place(ring[(step + 1) % 2], groupQueries + head * D, qkWidth, groupDOut + head * D, oWidth,
                       groupStats + head * rows, docStart, (firstTile + tile) * Place::QUERIES, T);
        cp_async_commit();
        for (int offset = 0; offset < Place::QUERIES; offset += QUERY_STEP) {
            const int query = tileQuery + offset, queries = min(QUERY_STEP, T - query);
            if (query + QUERY_STEP <= warpRow || queries <= 0) continue;
            bool masked = query < warpRow + 16 * M - 1; // some query does not see some key
            if (docStart != nullptr) {
                if (place.docStart[offset] >= warpRow + 16 * M) continue;
                masked |= place.docStart[offset + queries - 1] > warpRow;
            }
            float s[M][N][4], dP[M][N][4];
            dot_rows<D>(s, k, warpRow - first, place.q, offset);
            if (masked) hide_transposed(s, warpRow, query, docStart != nullptr ? place.docStart + offset : nullptr);
            UNROLL
            for (int n = 0; n < N; n++) {
                const float4 stats = // of a query and the next
                    *reinterpret_cast<const float4*>(place.stats + offset + 8 * n + lane() % 4 * 2);
                UNROLL
                for (int m = 0; m < M; m++)
                    UNROLL
                    for (int i = 0; i < 4; i++)
                        s[m][n][i] = fast_exp2(s[m][n][i] * BASE2<D> - (i % 2 == 0 ? stats.x : stats.z));
            }
            uint32_t p[M][N][2], dScore[M][N][2];
            as_left_operand(p, s);
            add_product<D>(dValue, p, place.dO, offset);
            dot_rows<D>(dP, v, warpRow - first, place.dO, offset);
            UNROLL
            for (int n = 0; n < N; n++) {
                const float4 stats = *reinterpret_cast<const float4*>(place.stats + offset + 8 * n + lane() % 4 * 2);
                UNROLL
                for (int m = 0; m < M; m++)
                    UNROLL
                    for (int i = 0; i < 4; i++) s[m][n][i] *= dP[m][n][i] - (i % 2 == 0 ? stats.y : stats.w);
            }
            as_left_operand(dScore, s);
            add_product<D>(dKey, dScore, place.q, offset);
        }
    }

    bf16* dKeys = dQk + sequence * qkWidth + (H + g) * D;
    bf16* dValues = dQkv + sequence * qkvWidth + (H + G + g) * D;
    store_rows<D>(dKeys, qkWidth, warpRow, T, dKey, SCALE<D>, k, warpRow - first);
    store_rows<D>(dValues, qkvWidth, warpRow, T, dValue, 1.0f, v, warpRow - first);
}

} // namespace attention

#define ATTENTION(D)                                                                                                           \
    extern "C" __global__ void __launch_bounds__(attention::THREADS, 2)                                                        \
        attention_forward_##D(bf16* o, float* lse, const bf16* qk, const bf16* qkv, const int32_t* docStart, int32_t T,        \
                              int32_t H, int32_t G) {                                                                          \
        attention::forward<D>(o, lse, qk, qkv, docStart, T, H, G);                                                             \
    }                                                                                                                          \
    KERNEL(attention_forward_##D)                                                                                              \
    extern "C" __global__ void __launch_bounds__(attention::THREADS, 2)                                                        \
        attention_backward_queries_##D(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse,           \
                                       const bf16* qk, const bf16* qkv, const int32_t* docStart, int32_t T, int32_t H,         \
                                       int32_t G) {                                                                            \
        attention::backward_queries<D>(dQk, rowStats, dO, o, lse, qk, qkv, docStart, T, H, G);                                 \
    }                                                                                                                          \
    KERNEL(attention_backward_queries_##D)                                                                                     \
    extern "C" __global__ void __launch_bounds__(attention::THREADS, 2)                                                        \
        attention_backward_keys_##D(bf16* dQk, bf16* dQkv, const float2* rowStats, const bf16* dO, const bf16* qk,             \
                                    const bf16* qkv, const int32_t* docStart, int32_t T, int32_t H, int32_t G) {               \
        attention::backward_keys<D>(dQk, dQkv, rowStats, dO, qk, qkv, docStart, T, H, G);                                      \
    }                                                                                                                          \
    KERNEL(attention_backward_keys_##D)
ATTENTION(64)
ATTENTION(128)
