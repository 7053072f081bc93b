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
#include "common.cuh"

namespace attention {

constexpr int WARPS = 4, THREADS = WARPS * WARP;
constexpr int QUERY_TILE = 128; // 32 rows a warp: each fragment read from shared memory feeds two products
// What a masked score becomes: below every score, yet finite, so that a difference of two is no NaN.
constexpr float HIDDEN = -3e38f;

template <int D>
constexpr float SCALE = D == 64 ? 0.125f : 0.08838834764831845f; // 1 / sqrt(D); tiles and registers are cut for 64 and 128

// ---- tiles in shared memory: rows of D bf16, the eight 16-byte chunks of 128 bytes exchanged by the row, so that one chunk of
// eight rows lies in eight different groups of banks -----------------------------------------------------------------------
// Element (row, 16 k + 8 half). Written so that what depends on the lane (row, half) comes before what does not (k).
template <int D>
DEVICE int at(int row, int k, int half) {
    return row * D + ((half ^ row % 8) * 8 ^ k % 4 * 16) + k / 4 * 64;
}

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

// Accumulators rounded to bf16 are laid out as a left operand already, so what one product makes the next one takes from
// registers: element i of p[m][n] is row 16 m + 8 i + lane / 4, columns 8 n + 2 (lane % 4) and the next.
template <int M, int N>
DEVICE void as_left_operand(uint32_t (&p)[M][N][2], const float (&s)[M][N][4]) {
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int n = 0; n < N; n++)
            UNROLL
            for (int i = 0; i < 2; i++) p[m][n][i] = pack_bf16(s[m][n][2 * i], s[m][n][2 * i + 1]);
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

// Writes factor[row] * c to rows first .. of a sequence of T rows, 16 bytes a lane, by way of rows of a tile that only
// this warp still uses.
template <int D, int M>
DEVICE void store_rows(bf16* rows, int stride, int first, int T, const float (&c)[M][D / 8][4],
                       const float (&factor)[M][2], bf16* tile, int tileRow) {
    constexpr int CHUNKS = D / 8, LANES = CHUNKS; // lanes a row
    __syncwarp();
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int n = 0; n < D / 8; n++)
            UNROLL
            for (int half = 0; half < 2; half++) {
                const int row = tileRow + 16 * m + 8 * half + lane() / 4;
                *reinterpret_cast<uint32_t*>(tile + at<D>(row, n / 2, n % 2) + lane() % 4 * 2) =
                    pack_bf16(c[m][n][2 * half] * factor[m][half], c[m][n][2 * half + 1] * factor[m][half]);
            }
    __syncwarp();
    UNROLL
    for (int i = 0; i < 16 * M * LANES / WARP; i++) {
        const int row = i * (WARP / LANES) + lane() / LANES, chunk = lane() % LANES;
        if (first + row < T)
            *reinterpret_cast<uint4*>(rows + (first + row) * stride + chunk * 8) =
                *reinterpret_cast<const uint4*>(tile + at<D>(tileRow + row, chunk / 2, chunk % 2));
    }
}

// ---- queries: what forward and backward_queries share ----------------------------------------------------------------------
// A block's tile of queries of one head, and the tiles of keys that they see.
struct Queries {
    const bf16 *queries, *keys, *values; // of the head, from the first row of the sequence
    const int32_t* docStart;             // from there too, or null
    int first;                           // query
    int warpRow;                         // first query of this warp
    int warpFrom, warpAllFrom;           // the first key that any query of this warp sees; that all see, but for the diagonal
    int firstKey, lastKey;               // of the first and of the last tile of keys
};
constexpr int WARP_QUERIES = QUERY_TILE / WARPS;

template <int D, int KEY_TILE>
DEVICE Queries queries_of_block(const bf16* qk, const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    const int64_t sequence = int64_t(blockIdx.z) * T;
    const int h = blockIdx.y, g = h / (H / G);
    Queries x;
    x.queries = qk + sequence * (H + G) * D + h * D;
    x.keys = qk + sequence * (H + G) * D + (H + g) * D;
    x.values = qkv + sequence * (H + 2 * G) * D + (H + G + g) * D;
    x.docStart = docStart == nullptr ? nullptr : docStart + sequence;
    x.first = int(gridDim.x - 1 - blockIdx.x) * QUERY_TILE; // tiles with most work first
    x.warpRow = x.first + WARP_QUERIES * warp();
    x.firstKey = x.warpFrom = x.warpAllFrom = 0;
    if (docStart != nullptr) {
        x.firstKey = x.docStart[x.first] / KEY_TILE * KEY_TILE;
        x.warpFrom = x.docStart[min(x.warpRow, T - 1)];
        x.warpAllFrom = x.docStart[min(x.warpRow + WARP_QUERIES, T) - 1];
    }
    x.lastKey = (min(x.first + QUERY_TILE, T) - 1) / KEY_TILE * KEY_TILE;
    return x;
}

template <int KEY_TILE>
DEVICE bool sees(const Queries& x, int key) {
    return key < x.warpRow + WARP_QUERIES && key + KEY_TILE > x.warpFrom;
}

// Hides the scores of this warp's queries (down) with the keys from `key` (across) that they do not see.
template <int M, int N>
DEVICE void hide(float (&s)[M][N][4], const Queries& x, int key, int T) {
    if (key + 8 * N <= x.warpRow + 1 && key >= x.warpAllFrom) return; // all see all: nearly always
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            const int row = x.warpRow + 16 * m + 8 * half + lane() / 4;
            const int from = x.docStart == nullptr ? 0 : x.docStart[min(row, T - 1)];
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 0; i < 2; i++) {
                    const int column = key + 8 * n + lane() % 4 * 2 + i;
                    if (column > row || column < from) s[m][n][2 * half + i] = HIDDEN;
                }
        }
}

// ---- forward: a block owns a tile of queries of one head and walks the keys from the diagonal down, so that the first tile of
// keys a warp meets holds the own key of each of its rows ------------------------------------------------------------------
// peak may trail the true maximum by this many powers of two before sums are scaled down again: p grows to 256 at most, and
// what is left of the maximum cancels in o = sum(p v) / sum(p) and in lse.
constexpr float PEAK_SLACK = 8;

template <int D>
DEVICE void forward(bf16* o, float* lse, const bf16* qk, const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    constexpr int M = 2, KEY_TILE = 64, N = KEY_TILE / 8;
    constexpr float BASE2 = SCALE<D> * LOG2_E;
    DYNAMIC_SHARED(bf16, q);
    bf16 *k = q + QUERY_TILE * D, *v = k + KEY_TILE * D;

    const Queries x = queries_of_block<D, KEY_TILE>(qk, qkv, docStart, T, H, G);
    const int qkWidth = (H + G) * D, qkvWidth = (H + 2 * G) * D;
    float sum_o[M][D / 8][4] = {}, peak[M][2], sum[M][2] = {};
    UNROLL
    for (int m = 0; m < M; m++) peak[m][0] = peak[m][1] = HIDDEN;

    load_tile<D, QUERY_TILE>(q, x.queries, qkWidth, x.first, T);
    load_tile<D, KEY_TILE>(k, x.keys, qkWidth, x.lastKey, T);
    cp_async_commit();
    for (int key = x.lastKey; key >= x.firstKey; key -= KEY_TILE) {
        const bool seen = sees<KEY_TILE>(x, key);
        uint32_t p[M][N][2];

        cp_async_wait<0>();
        __syncthreads(); // this tile's keys are here, and the values before have been read
        load_tile<D, KEY_TILE>(v, x.values, qkvWidth, key, T);
        cp_async_commit();
        if (seen) {
            float s[M][N][4];
            dot_rows<D>(s, q, x.warpRow - x.first, k, 0);
            hide(s, x, key, T);
            float tilePeak[M][2];
            bool grown = false;
            UNROLL
            for (int m = 0; m < M; m++)
                UNROLL
                for (int half = 0; half < 2; half++) {
                    float largest = peak[m][half];
                    UNROLL
                    for (int n = 0; n < N; n++) largest = fmaxf(largest, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
                    largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 1));
                    largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 2));
                    tilePeak[m][half] = largest;
                    grown |= largest - peak[m][half] > PEAK_SLACK / BASE2;
                }
            if (__any_sync(ALL_LANES, grown)) {
                UNROLL
                for (int m = 0; m < M; m++)
                    UNROLL
                    for (int half = 0; half < 2; half++) {
                        const float shrink = fast_exp2((peak[m][half] - tilePeak[m][half]) * BASE2);
                        peak[m][half] = tilePeak[m][half];
                        sum[m][half] *= shrink;
                        UNROLL
                        for (int n = 0; n < D / 8; n++)
                            sum_o[m][n][2 * half] *= shrink, sum_o[m][n][2 * half + 1] *= shrink;
                    }
            }
            UNROLL
            for (int m = 0; m < M; m++)
                UNROLL
                for (int half = 0; half < 2; half++) {
                    const float shift = peak[m][half] * BASE2;
                    UNROLL
                    for (int n = 0; n < N; n++)
                        UNROLL
                        for (int i = 2 * half; i < 2 * half + 2; i++) {
                            s[m][n][i] = fast_exp2(s[m][n][i] * BASE2 - shift);
                            sum[m][half] += s[m][n][i];
                        }
                }
            as_left_operand(p, s);
        }
        cp_async_wait<0>();
        __syncthreads(); // this tile's values are here, and its keys have been read
        if (key > x.firstKey) load_tile<D, KEY_TILE>(k, x.keys, qkWidth, key - KEY_TILE, T);
        cp_async_commit();
        if (seen) add_product<D>(sum_o, p, v, 0);
    }

    const int64_t sequence = int64_t(blockIdx.z) * T;
    const int h = blockIdx.y;
    float inverse[M][2];
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            float total = sum[m][half];
            total += __shfl_xor_sync(ALL_LANES, total, 1);
            total += __shfl_xor_sync(ALL_LANES, total, 2);
            inverse[m][half] = 1 / total;
            const int row = x.warpRow + 16 * m + 8 * half + lane() / 4;
            if (lane() % 4 == 0 && row < T)
                lse[(sequence + row) * H + h] = (peak[m][half] * BASE2 + fast_log2(total)) * LN_2;
        }
    store_rows<D>(o + sequence * H * D + h * D, H * D, x.warpRow, T, sum_o, inverse, q, x.warpRow - x.first);
}

// ---- backward, queries: a block owns a tile of queries of one head and sums dQ over its keys; first it makes rowStats ------
// lse * log2 e and dO . o of this warp's queries, into `stats` by row of the tile and, for backward_keys, into rowStats.
template <int D>
DEVICE void row_stats(float2* stats, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, const Queries& x,
                      int T, int H) {
    constexpr int LANES = D / 8, ROWS = WARP / LANES; // lanes a row, rows at a time
    UNROLL
    for (int i = 0; i < WARP_QUERIES; i += ROWS) {
        const int row = x.warpRow + i + lane() / LANES;
        float dRow[8], oRow[8], delta = 0;
        if (row < T) {
            load8(dRow, dO + row * H * D + lane() % LANES * 8);
            load8(oRow, o + row * H * D + lane() % LANES * 8);
            UNROLL
            for (int j = 0; j < 8; j++) delta += dRow[j] * oRow[j];
        }
        UNROLL
        for (int offset = LANES / 2; offset > 0; offset /= 2) delta += __shfl_xor_sync(ALL_LANES, delta, offset);
        if (lane() % LANES == 0) {
            stats[row - x.first] = make_float2(row < T ? lse[row * H] * LOG2_E : 0, delta);
            if (row < T) rowStats[row] = stats[row - x.first];
        }
    }
    __syncwarp();
}

template <int D>
struct KeyPlace { // a tile of keys and their values; scores, dP and dQ of it fill the registers
    static constexpr int KEYS = 4096 / D;
    alignas(128) bf16 k[KEYS * D], v[KEYS * D];
};

template <int D>
DEVICE void load_place(KeyPlace<D>& place, const Queries& x, int key, int T, int H, int G) {
    load_tile<D, KeyPlace<D>::KEYS>(place.k, x.keys, (H + G) * D, key, T);
    load_tile<D, KeyPlace<D>::KEYS>(place.v, x.values, (H + 2 * G) * D, key, T);
}

// dScore = p (dO . v - delta), dQ = sum_s dScore k / sqrt(D); p is made again from lse.
template <int D>
DEVICE void backward_queries(bf16* dQk, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, const bf16* qk,
                             const bf16* qkv, const int32_t* docStart, int T, int H, int G) {
    constexpr int M = 2, KEY_TILE = KeyPlace<D>::KEYS, N = KEY_TILE / 8;
    constexpr float BASE2 = SCALE<D> * LOG2_E;
    DYNAMIC_SHARED(bf16, q);
    bf16* dOut = q + QUERY_TILE * D;
    KeyPlace<D>* ring = reinterpret_cast<KeyPlace<D>*>(dOut + QUERY_TILE * D); // two places
    float2* stats = reinterpret_cast<float2*>(ring + 2);

    const Queries x = queries_of_block<D, KEY_TILE>(qk, qkv, docStart, T, H, G);
    const int64_t sequence = int64_t(blockIdx.z) * T, rows = int64_t(gridDim.z) * T;
    const int h = blockIdx.y, tileRow = x.warpRow - x.first;
    const int64_t headOut = sequence * H * D + h * D;
    load_tile<D, QUERY_TILE>(q, x.queries, (H + G) * D, x.first, T);
    load_tile<D, QUERY_TILE>(dOut, dO + headOut, H * D, x.first, T);
    load_place(ring[x.firstKey / KEY_TILE % 2], x, x.firstKey, T, H, G);
    cp_async_commit();
    row_stats<D>(stats, rowStats + h * rows + sequence, dO + headOut, o + headOut, lse + sequence * H + h, x, T, H);
    float2 stat[M][2];
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) stat[m][half] = stats[tileRow + 16 * m + 8 * half + lane() / 4];

    float dQuery[M][D / 8][4] = {};
    for (int key = x.firstKey; key <= x.lastKey; key += KEY_TILE) {
        const KeyPlace<D>& place = ring[key / KEY_TILE % 2];
        cp_async_wait<0>();
        __syncthreads(); // this tile is here, and the other place has been read
        if (key < x.lastKey) load_place(ring[(key / KEY_TILE + 1) % 2], x, key + KEY_TILE, T, H, G);
        cp_async_commit();
        if (!sees<KEY_TILE>(x, key)) continue;
        float s[M][N][4], dP[M][N][4];
        dot_rows<D>(s, q, tileRow, place.k, 0);
        hide(s, x, key, T);
        dot_rows<D>(dP, dOut, tileRow, place.v, 0);
        UNROLL
        for (int m = 0; m < M; m++)
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 0; i < 4; i++)
                    s[m][n][i] = fast_exp2(s[m][n][i] * BASE2 - stat[m][i / 2].x) * (dP[m][n][i] - stat[m][i / 2].y);
        uint32_t dScore[M][N][2];
        as_left_operand(dScore, s);
        add_product<D>(dQuery, dScore, place.k, 0);
    }
    const float factor[M][2] = {{SCALE<D>, SCALE<D>}, {SCALE<D>, SCALE<D>}};
    store_rows<D>(dQk + sequence * (H + G) * D + h * D, (H + G) * D, x.warpRow, T, dQuery, factor, q, tileRow);
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

// Hides the scores of keys from warpRow (down) with those queries from `query`, the place's from `offset` (across), that do
// not see them.
template <int D, int M, int N>
DEVICE void hide_transposed(float (&s)[M][N][4], int warpRow, const QueryPlace<D>& place, int offset, int query,
                            bool documents) {
    UNROLL
    for (int n = 0; n < N; n++)
        UNROLL
        for (int i = 0; i < 2; i++) {
            const int column = 8 * n + lane() % 4 * 2 + i, from = documents ? place.docStart[offset + column] : 0;
            UNROLL
            for (int m = 0; m < M; m++)
                UNROLL
                for (int half = 0; half < 2; half++) {
                    const int row = warpRow + 16 * m + 8 * half + lane() / 4;
                    if (row > query + column || row < from) s[m][n][2 * half + i] = HIDDEN;
                }
        }
}

// dV = sum_t p dO, dK = sum_t dScore q / sqrt(D) over queries t.
template <int D>
DEVICE void backward_keys(bf16* dQk, bf16* dQkv, const float2* rowStats, const bf16* dO, const bf16* qk, const bf16* qkv,
                          const int32_t* docStart, int T, int H, int G) {
    using Place = QueryPlace<D>;
    constexpr int M = 128 / D, KEY_TILE = WARPS * 16 * M;              // dK and dV of 16 M keys fill half the registers,
    constexpr int QUERY_STEP = Place::QUERIES / M, N = QUERY_STEP / 8; // scores and dP of QUERY_STEP queries a quarter
    constexpr float BASE2 = SCALE<D> * LOG2_E;
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

    // Tiles of queries from the one that holds the first key to the last one whose first query sees the last key.
    const int firstTile = first / Place::QUERIES;
    int tiles = (T - 1) / Place::QUERIES + 1 - firstTile;
    if (docStart != nullptr) {
        int beyond = tiles; // binary search: tile 0 counts, tile `beyond` does not
        tiles = 1;
        while (tiles < beyond) {
            const int middle = (tiles + beyond) / 2;
            if (docStart[(firstTile + middle) * Place::QUERIES] < first + KEY_TILE)
                tiles = middle + 1;
            else
                beyond = middle;
        }
    }

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
            if (masked) hide_transposed(s, warpRow, place, offset, query, docStart != nullptr);
            UNROLL
            for (int n = 0; n < N; n++) {
                const float4 stats = // of a query and the next
                    *reinterpret_cast<const float4*>(place.stats + offset + 8 * n + lane() % 4 * 2);
                UNROLL
                for (int m = 0; m < M; m++)
                    UNROLL
                    for (int i = 0; i < 4; i++)
                        s[m][n][i] = fast_exp2(s[m][n][i] * BASE2 - (i % 2 == 0 ? stats.x : stats.z));
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

    float one[M][2], factor[M][2];
    UNROLL
    for (int m = 0; m < M; m++) one[m][0] = one[m][1] = 1, factor[m][0] = factor[m][1] = SCALE<D>;
    bf16* dKeys = dQk + sequence * qkWidth + (H + g) * D;
    bf16* dValues = dQkv + sequence * qkvWidth + (H + G + g) * D;
    store_rows<D>(dKeys, qkWidth, warpRow, T, dKey, factor, k, warpRow - first);
    store_rows<D>(dValues, qkvWidth, warpRow, T, dValue, one, v, warpRow - first);
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
