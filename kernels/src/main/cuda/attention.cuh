// attention.cuh: what the kernels of attention.cu, attention_hopper.cu and attention_hopper_heads.cu have in common: masks, softmax, rows in
// and out.
#pragma once
#include "common.cuh"

namespace attention {

// What a masked score becomes: below every score, yet finite, so that a difference of two is no NaN.
constexpr float HIDDEN = -3e38f;

template <int D>
constexpr float SCALE = D == 64 ? 0.125f : 0.08838834764831845f; // 1 / sqrt(D); tiles and registers are cut for 64 and 128
template <int D>
constexpr float BASE2 = SCALE<D> * LOG2_E; // exp(SCALE s) = 2^(BASE2 s)

// ---- tiles in shared memory: the eight 16-byte chunks of 128 bytes exchanged by the row, so that one chunk of eight rows lies in
// eight different groups of banks; it is what tensor copies call 128-byte swizzle -----------------------------------------------
// Element (row, 16 k + 8 half). Rows of D, or, with PANEL_ROWS, panels of so many rows of 64. Written so that what depends on the
// lane (row, half) comes before what does not (k).
template <int D, int PANEL_ROWS = 0>
DEVICE int at(int row, int k, int half) {
    constexpr int ROW = PANEL_ROWS == 0 ? D : 64, PANEL = PANEL_ROWS == 0 ? 64 : PANEL_ROWS * 64;
    return row * ROW + ((half ^ row % 8) * 8 ^ k % 4 * 16) + k / 4 * PANEL;
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

// Writes factor[row] * c to rows first .. of a sequence of T rows, 16 bytes a lane, by way of rows of a tile that only
// this warp still uses.
template <int D, int PANEL_ROWS = 0, int M>
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
                *reinterpret_cast<uint32_t*>(tile + at<D, PANEL_ROWS>(row, n / 2, n % 2) + lane() % 4 * 2) =
                    pack_bf16(c[m][n][2 * half] * factor[m][half], c[m][n][2 * half + 1] * factor[m][half]);
            }
    __syncwarp();
    UNROLL
    for (int i = 0; i < 16 * M * LANES / WARP; i++) {
        const int row = i * (WARP / LANES) + lane() / LANES, chunk = lane() % LANES;
        if (first + row < T)
            store_16(rows + (first + row) * stride + chunk * 8,
                     *reinterpret_cast<const uint4*>(tile + at<D, PANEL_ROWS>(tileRow + row, chunk / 2, chunk % 2)));
    }
}
template <int D, int PANEL_ROWS = 0, int M>
DEVICE void store_rows(bf16* rows, int stride, int first, int T, const float (&c)[M][D / 8][4], float factor, bf16* tile,
                       int tileRow) {
    float factors[M][2];
    UNROLL
    for (int m = 0; m < M; m++) factors[m][0] = factors[m][1] = factor;
    store_rows<D, PANEL_ROWS>(rows, stride, first, T, c, factors, tile, tileRow);
}

// ---- queries and the keys that they see ------------------------------------------------------------------------------------------
// COUNT queries of a sequence from `row`, of which some may lie beyond the sequence.
template <int COUNT>
struct Queries {
    const int32_t* docStart; // of the sequence's first row, or null
    int row;
    int from, allFrom; // the first key that any of them sees; that all see, but for the diagonal
};

template <int COUNT>
DEVICE Queries<COUNT> queries_from(int row, const int32_t* docStart, int T) {
    Queries<COUNT> x{docStart, row, 0, 0};
    if (docStart != nullptr) {
        x.from = docStart[min(row, T - 1)];
        x.allFrom = docStart[min(row + COUNT, T) - 1];
    }
    return x;
}

// Whether one of the queries sees one of KEYS keys from `key`.
template <int KEYS, int COUNT>
DEVICE bool sees(const Queries<COUNT>& x, int key) {
    return key < x.row + COUNT && key + KEYS > x.from;
}

// The tiles of keys that the queries see.
struct KeyTiles {
    int first, last; // first key of the first and of the last tile
};
template <int KEY_TILE, int COUNT>
DEVICE KeyTiles key_tiles(const Queries<COUNT>& x, int T) {
    return {x.from / KEY_TILE * KEY_TILE, (min(x.row + COUNT, T) - 1) / KEY_TILE * KEY_TILE};
}

// Hides the scores of this warp's queries (down) with the keys from `key` (across) that they do not see.
template <int M, int N>
DEVICE void hide(float (&s)[M][N][4], const Queries<16 * M>& x, int key, int T) {
    if (key + 8 * N <= x.row + 1 && key >= x.allFrom) return; // all see all: nearly always
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            const int row = x.row + 16 * m + 8 * half + lane() / 4;
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

// Hides the scores of keys from `key` (down) with those queries from `query` (across) that do not see them; docStart: of those
// queries, or null.
template <int M, int N>
DEVICE void hide_transposed(float (&s)[M][N][4], int key, int query, const int32_t* docStart) {
    UNROLL
    for (int n = 0; n < N; n++)
        UNROLL
        for (int i = 0; i < 2; i++) {
            const int column = 8 * n + lane() % 4 * 2 + i, from = docStart != nullptr ? docStart[column] : 0;
            UNROLL
            for (int m = 0; m < M; m++)
                UNROLL
                for (int half = 0; half < 2; half++) {
                    const int row = key + 16 * m + 8 * half + lane() / 4;
                    if (row > query + column || row < from) s[m][n][2 * half + i] = HIDDEN;
                }
        }
}

// Tiles of TILE queries from the one that holds key `first` to the last one whose first query sees a key before first + keys.
template <int TILE>
DEVICE int query_tiles(int first, int keys, const int32_t* docStart, int T) {
    const int firstTile = first / TILE, tiles = (T - 1) / TILE + 1 - firstTile;
    if (docStart == nullptr) return tiles;
    int some = 1, beyond = tiles; // binary search: tile 0 counts, tile `beyond` does not
    while (some < beyond) {
        const int middle = (some + beyond) / 2;
        if (docStart[(firstTile + middle) * TILE] < first + keys)
            some = middle + 1;
        else
            beyond = middle;
    }
    return some;
}

// ---- softmax, online ---------------------------------------------------------------------------------------------------------------
// A peak may trail the true maximum by this many powers of two before sums are scaled down again: p grows to 256 at most, and
// what is left of the maximum cancels in o = sum(p v) / sum(p) and in lse.
constexpr float PEAK_SLACK = 8;

// Raises the peaks of this warp's rows to the largest scores where one trails too far. True if so; `shrink` is then what all sums
// so far are to be multiplied by, and those of p already are.
template <int D, int M, int N>
DEVICE bool raise_peaks(float (&peak)[M][2], float (&sum)[M][2], float (&shrink)[M][2], const float (&s)[M][N][4]) {
    float largest[M][2];
    bool grown = false;
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            float x = peak[m][half];
            UNROLL
            for (int n = 0; n < N; n++) x = fmaxf(x, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
            x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 1));
            x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 2));
            largest[m][half] = x;
            grown |= x - peak[m][half] > PEAK_SLACK / BASE2<D>;
        }
    if (!__any_sync(ALL_LANES, grown)) return false;
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            shrink[m][half] = fast_exp2((peak[m][half] - largest[m][half]) * BASE2<D>);
            peak[m][half] = largest[m][half];
            sum[m][half] *= shrink[m][half];
        }
    return true;
}

template <int M, int N>
DEVICE void shrink_rows(float (&c)[M][N][4], const float (&shrink)[M][2]) {
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int n = 0; n < N; n++)
            UNROLL
            for (int i = 0; i < 4; i++) c[m][n][i] *= shrink[m][i / 2];
}

// Scores become p; sum grows by this lane's.
template <int D, int M, int N>
DEVICE void exponentials(float (&s)[M][N][4], float (&sum)[M][2], const float (&peak)[M][2]) {
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            const float shift = peak[m][half] * BASE2<D>;
            UNROLL
            for (int n = 0; n < N; n++)
                UNROLL
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    s[m][n][i] = fast_exp2(s[m][n][i] * BASE2<D> - shift);
                    sum[m][half] += s[m][n][i];
                }
        }
}

// 1 / sum(p) of this warp's rows, from `row` of a sequence of T; writes their lse, H floats apart.
template <int D, int M>
DEVICE void finish_softmax(float (&inverse)[M][2], float* lse, const float (&sum)[M][2], const float (&peak)[M][2], int firstRow,
                           int T, int H) {
    UNROLL
    for (int m = 0; m < M; m++)
        UNROLL
        for (int half = 0; half < 2; half++) {
            float total = sum[m][half];
            total += __shfl_xor_sync(ALL_LANES, total, 1);
            total += __shfl_xor_sync(ALL_LANES, total, 2);
            inverse[m][half] = __fdividef(1, total);
            const int row = firstRow + 16 * m + 8 * half + lane() / 4;
            if (lane() % 4 == 0 && row < T) lse[row * H] = (peak[m][half] * BASE2<D> + fast_log2(total)) * LN_2;
        }
}

// ---- what backward makes of a row first ------------------------------------------------------------------------------------------
// lse * log2 e and dO . o of ROWS queries, a lane each, from `first` of a sequence, into `stats`, unless it is null,
// and, for other kernels, into rowStats[row]. All is read before anything is made of it: one wait for memory a batch.
template <int D, int ROWS>
DEVICE void row_stats(float2* stats, float2* rowStats, const bf16* dO, const bf16* o, const float* lse, int first, int T, int H) {
    constexpr int LANES = D / 8, STEP = WARP / LANES, BATCH = 8; // lanes a row, rows at a time, and times a batch
    const int row = first + lane();
    const float lseOfRow = lse[min(row, T - 1) * H];
    float delta = 0; // of this lane's row
    UNROLL_BY(1)
    for (int i = 0; i < ROWS / STEP; i += BATCH) {
        uint4 dRows[BATCH], oRows[BATCH];
        UNROLL
        for (int j = 0; j < BATCH; j++) {
            const int at = min(first + (i + j) * STEP + lane() / LANES, T - 1) * H * D + lane() % LANES * 8;
            dRows[j] = *reinterpret_cast<const uint4*>(dO + at);
            oRows[j] = *reinterpret_cast<const uint4*>(o + at);
        }
        UNROLL
        for (int j = 0; j < BATCH; j++) {
            float dRow[8], oRow[8], sum = 0;
            unpack8(dRow, dRows[j]);
            unpack8(oRow, oRows[j]);
            UNROLL
            for (int k = 0; k < 8; k++) sum += dRow[k] * oRow[k];
            UNROLL
            for (int offset = LANES / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
            sum = __shfl_sync(ALL_LANES, sum, lane() % STEP * LANES);
            if (lane() / STEP == i + j) delta = sum;
        }
    }
    if (lane() < ROWS) {
        const float2 found = row < T ? make_float2(lseOfRow * LOG2_E, delta) : make_float2(0, 0);
        if (stats != nullptr) stats[lane()] = found;
        if (row < T) rowStats[row] = found;
    }
    __syncwarp();
}

} // namespace attention
