// attention_hopper.cuh: what the passes of attention_hopper.cu and attention_hopper_heads.cu are made of: who copies and who computes,
// rings of tiles, which tiles a block owns, products, and what the two backward passes over tiles of keys have in common.
#pragma once
#include "attention.cuh"
#include "hopper.cuh"

namespace attention_hopper {

constexpr int GROUPS = 2, GROUP_ROWS = 64, ROWS = GROUPS * GROUP_ROWS;

// ---- what a block has in shared memory: OWN tiles that it owns, one that it works on and one that comes or goes, and STAGES of those
// that it walks over ----------------------------------------------------------------------------------------------------------------
constexpr int OWN = 2;
// A place of a ring: full when what comes there has been brought, empty when each warp that looks at it is done with it.
struct Place {
    MBarrier full, empty;
};
struct Job {           // what to do with a tile that a block owns
    int first;         // row of the sequence; negative: nothing, and there are no more
    int head, sequence;
    int from, to; // tiles of keys, or of queries, to walk over: the first key of the first and of the last
};

template <int D>
struct Forward {
    static constexpr int KEYS = 128, STAGES = 2;
    alignas(1024) bf16 q[OWN][ROWS * D];
    alignas(1024) bf16 k[STAGES][KEYS * D], v[STAGES][KEYS * D];
    Job jobs[OWN];
    MBarrier met[GROUPS];
    Place own[OWN], keyRing[STAGES], valueRing[STAGES];
};

template <int D>
struct BackwardQueries {
    static constexpr int KEYS = 64, STAGES = 3;
    alignas(1024) bf16 q[OWN][ROWS * D];
    alignas(1024) bf16 dO[OWN][ROWS * D];
    alignas(1024) bf16 k[STAGES][KEYS * D], v[STAGES][KEYS * D];
    alignas(16) float2 stats[ROWS];
    Job jobs[OWN];
    MBarrier met[GROUPS];
    Place own[OWN], ring[STAGES];
};

template <int D>
struct BackwardKeys {
    static constexpr int QUERIES = 64, STAGES = 3;
    alignas(1024) bf16 k[OWN][ROWS * D];
    alignas(1024) bf16 v[OWN][ROWS * D];
    alignas(1024) bf16 q[STAGES][QUERIES * D], dO[STAGES][QUERIES * D];
    alignas(16) float2 stats[STAGES][QUERIES];
    alignas(16) int32_t docStart[STAGES][QUERIES];
    Job jobs[OWN];
    MBarrier met[GROUPS];
    Place own[OWN], ring[STAGES];
};

template <int D>
struct BackwardHeads {
    static constexpr int QUERIES = 64, STAGES = D == 64 ? 3 : 2;
    alignas(1024) bf16 k[OWN][ROWS * D];
    alignas(1024) bf16 v[OWN][ROWS * D];
    alignas(1024) bf16 q[STAGES][QUERIES * D], dO[STAGES][QUERIES * D];
    alignas(1024) bf16 dScores[2][ROWS * QUERIES]; // keys down, queries across
    alignas(16) float2 stats[STAGES][QUERIES];
    alignas(16) int32_t docStart[STAGES][QUERIES];
    Job jobs[OWN];
    MBarrier met[GROUPS];
    Place own[OWN], ring[STAGES];
    Place scores[2];   // full: each warp has stored its gradients; empty: each is done with all
    Place finished[2]; // full: dQ of a tile's queries is summed up; empty: it is stored
};

#if HOPPER

using namespace attention;

constexpr int BOX_ROWS = 64, BOX_COLUMNS = 64;

// ---- who does what ---------------------------------------------------------------------------------------------------------------
// Groups 0 .. GROUPS - 1 compute, the last one copies. A block begins with 168 registers a thread, the most that 384 threads can have,
// and gives them out anew: 3 x 168 = 40 + 2 x 232, or 56 + 2 x 224 where the last one stores too.
DEVICE int group_of_warp() { return __shfl_sync(ALL_LANES, int(threadIdx.x) / WARPGROUP, 0); } // which the compiler sees is one for all
DEVICE int warp_of_group() { return warp() % 4; }

template <int STAGES>
DEVICE void init(Place (&ring)[STAGES]) {
    for (int i = 0; i < STAGES; i++) {
        mbarrier_init(&ring[i].full, 1);
        mbarrier_init(&ring[i].empty, 4 * GROUPS);
    }
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
DEVICE void warp_arrives(MBarrier* b) {
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(b);
}
template <int STAGES>
DEVICE void done_with(Place (&ring)[STAGES], int step) { // this warp is
    warp_arrives(&ring[step % STAGES].empty);
}

// A tile that this group does not look at.
template <int STAGES>
DEVICE void pass_by(Place (&ring)[STAGES], int step) {
    wait_full(ring, step);
    done_with(ring, step);
}

// The four warps of a group, each done with its products, for the n-th time: before rows of their left operand are written over. A wait
// for products is about the warp's own.
DEVICE void meet(MBarrier* group, int n) {
    warp_arrives(group);
    mbarrier_wait(group, n % 2);
}

// ---- tiles that a block owns ----------------------------------------------------------------------------------------------------------
// Blocks are as many as multiprocessors, and tiles are dealt out in pairs: the one with most to see and the one with least, the
// next ones, and so on, so that each pair is as much work as any; pairs of one head one after the other, for the sake of L2.
struct Owned {
    const int &T, &heads, &B; // parameters of the kernel, which take no registers
    int pair = blockIdx.x;    // of all pairs of all heads and sequences
    int index = 0;            // of the tiles of this block
    bool second = false;

    DEVICE_MEMBER int tiles() const { return (T + ROWS - 1) / ROWS; }
    DEVICE_MEMBER int pairs() const { return (tiles() + 1) / 2; } // of a head
    DEVICE_MEMBER bool more() const { return pair < pairs() * heads * B; }
    DEVICE_MEMBER int first() const { return ROWS * (second ? pair % pairs() : tiles() - 1 - pair % pairs()); } // row
    DEVICE_MEMBER int head() const { return pair / pairs() % heads; }
    DEVICE_MEMBER int sequence() const { return pair / pairs() / heads; }
    DEVICE_MEMBER void next() {
        index++;
        second = !second && 2 * (pair % pairs()) + 1 < tiles(); // else the tile in the middle, which has no other
        if (!second) pair += gridDim.x;
    }
};

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

// What a descriptor grows by when its matrix begins so many elements further on: one addition in place of five.
DEVICE constexpr uint64_t further(int elements) { return uint64_t(elements) * sizeof(bf16) >> 4; }

// s (64 x RIGHT) = 64 rows of `left` from leftRow times all rows of `right`, transposed; both D wide. Starts it.
template <int D, int LEFT, int RIGHT>
DEVICE void start_dot_rows(float (&s)[RIGHT / 8][4], const bf16* left, int leftRow, const bf16* right) {
    const uint64_t a = matrix_descriptor(left + leftRow * BOX_COLUMNS, 16), b = matrix_descriptor(right, 16);
    UNROLL
    for (int k = 0; k < D / 16; k++) {
        const int panel = k / 4 * BOX_COLUMNS, step = k % 4 * 16; // step: within a row, as swizzling goes by address
        wgmma(s, a + further(panel * LEFT + step), b + further(panel * RIGHT + step), k > 0);
    }
}

// c (64 x D) += p (64 x RIGHT) times all rows of `right`. Starts it.
template <int D, int RIGHT>
DEVICE void start_add_product(float (&c)[D / 8][4], const uint32_t (&p)[RIGHT / 8][2], const bf16* right) {
    const uint64_t b = matrix_descriptor(right, RIGHT * BOX_COLUMNS * int(sizeof(bf16)));
    UNROLL
    for (int k = 0; k < RIGHT / 16; k++) {
        const uint32_t a[4] = {p[2 * k][0], p[2 * k][1], p[2 * k + 1][0], p[2 * k + 1][1]};
        wgmma(c, a, b + further(16 * k * BOX_COLUMNS));
    }
}

// ---- how each pass begins and ends ----------------------------------------------------------------------------------------------------

template <typename Shared, int STAGES, typename... Maps>
DEVICE void begin_block(Shared* shared, Place (&ring)[STAGES], const Maps&... maps) {
    if (threadIdx.x == 0) {
        (prefetch_map(maps), ...);
        for (int i = 0; i < GROUPS; i++) mbarrier_init(&shared->met[i], 4);
        init(shared->own);
        init(ring);
    }
}
// After the last ring of it.
DEVICE void rings_are_made() {
    if (threadIdx.x == 0) mbarrier_init_fence();
    __syncthreads();
}

// Of one thread: there is no more to do for those that compute.
template <typename Shared>
DEVICE void say_no_more(Shared* shared, int index) {
    shared->jobs[index % OWN].first = -1;
    mbarrier_arrive(&shared->own[index % OWN].full);
}

// ---- backward by tiles of keys: over the queries of each head that has them, scores made transposed, keys down and queries across -----

// Of the copying warp: the tile of ROWS keys from `first` of key/value head g of sequence z, then the tiles of queries that see it, up or
// down.
template <int D, typename Shared>
DEVICE void bring_keys_and_queries(Shared* shared, int index, int& step, int first, bool down, int g, int z, const float2* rowStats,
                                   const TensorMap& qkMap, const TensorMap& qkvMap, const TensorMap& dOMap, const int32_t* docStarts,
                                   int B, int T, int H, int G) {
    constexpr int QUERIES = Shared::QUERIES, STAGES = Shared::STAGES;
    const int heads = H / G, firstQuery = first / QUERIES * QUERIES;
    const int64_t R = int64_t(B) * T, sequence = int64_t(z) * T;
    const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + sequence;
    const int tiles = query_tiles<QUERIES>(first, ROWS, docStart, T), across = (tiles - 1) * QUERIES;
    const int from = firstQuery + (down ? across : 0), to = firstQuery + (down ? 0 : across);
    wait_empty(shared->own, index);
    if (lane() == 0) {
        MBarrier* full = &shared->own[index % OWN].full;
        shared->jobs[index % OWN] = Job{first, g, z, from, to};
        copy_tile<D, ROWS>(shared->k[index % OWN], qkMap, (H + g) * D, first, z, full);
        copy_tile<D, ROWS>(shared->v[index % OWN], qkvMap, (H + G + g) * D, first, z, full);
        mbarrier_arrive(full);
    }
    for (int h = g * heads; h < (g + 1) * heads; h++)
        for (int tile = 0; tile < tiles; tile++, step++) {
            const int query = from + (down ? -tile : tile) * QUERIES, place = step % STAGES;
            MBarrier* full = &shared->ring[place].full;
            float2 stats[QUERIES / WARP]; // read before there is a place for them
            int32_t docs[QUERIES / WARP];
            UNROLL
            for (int i = 0; i < QUERIES / WARP; i++) {
                const int row = min(query + i * WARP + lane(), T - 1);
                stats[i] = rowStats[h * R + sequence + row];
                docs[i] = docStart != nullptr ? docStart[row] : 0;
            }
            wait_empty(shared->ring, step);
            if (lane() == 0) {
                copy_tile<D, QUERIES>(shared->q[place], qkMap, h * D, query, z, full);
                copy_tile<D, QUERIES>(shared->dO[place], dOMap, h * D, query, z, full);
            }
            UNROLL
            for (int i = 0; i < QUERIES / WARP; i++) {
                const bool inside = query + i * WARP + lane() < T;
                shared->stats[place][i * WARP + lane()] = inside ? stats[i] : make_float2(0, 0);
                if (docStart != nullptr) shared->docStart[place][i * WARP + lane()] = inside ? docs[i] : 0;
            }
            __syncwarp();
            if (lane() == 0) mbarrier_arrive(full);
        }
}

// p and the gradients of scores, rounded to bf16, of this group's keys with a tile of queries. masked: some query of the tile does not
// see some key of this warp, whose first is warpKey.
template <int D, int N>
DEVICE void scores_of_keys(uint32_t (&p)[1][N][2], uint32_t (&dScore)[1][N][2], const bf16* k, const bf16* v, int groupRow, const bf16* q,
                           const bf16* dO, const float2* tileStats, bool masked, int warpKey, int query, const int32_t* docStart) {
    const float2* stats = tileStats + lane() % 4 * 2;
    float s[1][N][4], dP[1][N][4];
    wgmma_hold(s[0]);
    wgmma_hold(dP[0]);
    wgmma_fence();
    start_dot_rows<D, ROWS, 8 * N>(s[0], k, groupRow, q);
    wgmma_commit();
    start_dot_rows<D, ROWS, 8 * N>(dP[0], v, groupRow, dO);
    wgmma_commit();
    wgmma_wait<1>();
    wgmma_hold(s[0]);
    if (masked) hide_transposed(s, warpKey, query, docStart);
    UNROLL
    for (int n = 0; n < N; n++) {
        const float4 pair = *reinterpret_cast<const float4*>(stats + 8 * n); // of a query and the next
        UNROLL
        for (int i = 0; i < 4; i++) s[0][n][i] = fast_exp2(s[0][n][i] * BASE2<D> - (i % 2 == 0 ? pair.x : pair.z));
    }
    as_left_operand(p, s);
    wgmma_wait<0>();
    wgmma_hold(dP[0]);
    UNROLL
    for (int n = 0; n < N; n++) {
        const float4 pair = *reinterpret_cast<const float4*>(stats + 8 * n);
        UNROLL
        for (int i = 0; i < 4; i++) s[0][n][i] *= dP[0][n][i] - (i % 2 == 0 ? pair.y : pair.w);
    }
    as_left_operand(dScore, s);
}

// dValue += p dO, dKey += dScore q, of this group's keys with a tile of queries. Starts both.
template <int D, int N>
DEVICE void start_key_gradients(float (&dKey)[D / 8][4], float (&dValue)[D / 8][4], const uint32_t (&dScore)[N][2], const uint32_t (&p)[N][2],
                                const bf16* q, const bf16* dO) {
    wgmma_hold(dValue);
    wgmma_hold(dKey);
    wgmma_fence();
    start_add_product<D, 8 * N>(dValue, p, dO);
    start_add_product<D, 8 * N>(dKey, dScore, q);
    wgmma_commit();
}

// Writes the gradients of this warp's keys, by way of its rows of two tiles, which may be one.
template <int D>
DEVICE void store_key_gradients(bf16* dQk, bf16* dQkv, const float (&dKey)[1][D / 8][4], const float (&dValue)[1][D / 8][4], bf16* keyTile,
                                bf16* valueTile, const Job& job, int warpKey, int tileRow, int T, int H, int G) {
    const int64_t sequence = int64_t(job.sequence) * T;
    bf16* dKeys = dQk + sequence * (H + G) * D + (H + job.head) * D;
    bf16* dValues = dQkv + sequence * (H + 2 * G) * D + (H + G + job.head) * D;
    store_rows<D, ROWS>(dKeys, (H + G) * D, warpKey, T, dKey, SCALE<D>, keyTile, tileRow);
    store_rows<D, ROWS>(dValues, (H + 2 * G) * D, warpKey, T, dValue, 1.0f, valueTile, tileRow);
    fence_proxy_async();
}

#define ON_HOPPER(call) attention_hopper::call
#else
#define ON_HOPPER(call) (void)0
#endif

} // namespace attention_hopper

#define HOPPER_KERNEL(name) \
    extern "C" __global__ void __launch_bounds__((attention_hopper::GROUPS + 1) * WARPGROUP, 1) attention_hopper_##name
#define MAP const __grid_constant__ TensorMap
