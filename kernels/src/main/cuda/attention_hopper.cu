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
//            busy as the tensor cores; exponentials, 64 a clock, take a quarter of the forward products' time at D 64 and an eighth
//            at D 128, and what else a score needs about as long as its products at D 64: groups at different places hide it.
//            Predicted on one H200, TFLOP/s forward, forward + backward: D 64, T 1024: 270, 230; D 128, T 2048: 430, 330
// Exactness  as attention.cu, but for the order of sums inside wgmma: bitwise repeatable
// Reference  Shah and others 2024, arXiv:2407.08608: who copies and who computes; scores of a tile are made while the values of the
//            last one are added up. Definition in PlainAttention
#include "attention.cuh"
#include "hopper.cuh"

namespace attention_hopper {

constexpr int GROUPS = 2, GROUP_ROWS = 64, ROWS = GROUPS * GROUP_ROWS;

// ---- what a block has in shared memory: OWN tiles that it owns, one that it works on and one that comes or goes, and STAGES of those
// that it walks over ----------------------------------------------------------------------------------------------------------------
constexpr int OWN = 2;
// A place of a ring: full when its copies have been brought, empty when each warp that computes has come.
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

#if HOPPER

using namespace attention;

constexpr int BOX_ROWS = 64, BOX_COLUMNS = 64;

// ---- who does what ---------------------------------------------------------------------------------------------------------------
// Groups 0 .. GROUPS - 1 compute, the last one copies. A block begins with 168 registers a thread, the most that 384 threads can have,
// and gives them out anew: 40 + 2 232 = 3 168.
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
template <int STAGES>
DEVICE void done_with(Place (&ring)[STAGES], int step) { // this warp is
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(&ring[step % STAGES].empty);
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
    __syncwarp();
    if (lane() == 0) mbarrier_arrive(group);
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

// ---- forward: each group walks the keys from the diagonal down, one tile's scores ahead of the values ---------------------------

template <int D>
DEVICE void forward(bf16* o, float* lse, const TensorMap& qkMap, const TensorMap& qkvMap, const int32_t* docStarts, int B, int T,
                    int H, int G) {
    using Shared = Forward<D>;
    constexpr int KEYS = Shared::KEYS, STAGES = Shared::STAGES, N = KEYS / 8;
    DYNAMIC_SHARED(Shared, shared);
    if (threadIdx.x == 0) {
        prefetch_map(qkMap);
        prefetch_map(qkvMap);
        for (int i = 0; i < GROUPS; i++) mbarrier_init(&shared->met[i], 4);
        init(shared->own);
        init(shared->keyRing);
        init(shared->valueRing);
        mbarrier_init_fence();
    }
    __syncthreads();
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
        shared->jobs[own.index % OWN].first = -1;
        mbarrier_arrive(&shared->own[own.index % OWN].full);
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
            fence_before_copies();
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
    if (threadIdx.x == 0) {
        prefetch_map(qkMap);
        prefetch_map(qkvMap);
        prefetch_map(dOMap);
        for (int i = 0; i < GROUPS; i++) mbarrier_init(&shared->met[i], 4);
        init(shared->own);
        init(shared->ring);
        mbarrier_init_fence();
    }
    __syncthreads();
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
        shared->jobs[own.index % OWN].first = -1;
        mbarrier_arrive(&shared->own[own.index % OWN].full);
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
            fence_before_copies();
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
    if (threadIdx.x == 0) {
        prefetch_map(qkMap);
        prefetch_map(qkvMap);
        prefetch_map(dOMap);
        for (int i = 0; i < GROUPS; i++) mbarrier_init(&shared->met[i], 4);
        init(shared->own);
        init(shared->ring);
        mbarrier_init_fence();
    }
    __syncthreads();
    const int heads = H / G;
    Owned own{T, G, B};
    int step = 0;

    const int group = group_of_warp();
    if (group == GROUPS) {
        give_back_registers<40>();
        if (warp_of_group() != 0) return;
        const int64_t R = int64_t(B) * T;
        for (; own.more(); own.next()) {
            const int g = own.head(), z = own.sequence(), first = own.first(), firstQuery = first / QUERIES * QUERIES;
            const int64_t sequence = int64_t(z) * T;
            const int32_t* docStart = docStarts == nullptr ? nullptr : docStarts + sequence;
            const int tiles = query_tiles<QUERIES>(first, ROWS, docStart, T);
            wait_empty(shared->own, own.index);
            if (lane() == 0) {
                MBarrier* full = &shared->own[own.index % OWN].full;
                shared->jobs[own.index % OWN] = {first, g, z, firstQuery, firstQuery + (tiles - 1) * QUERIES};
                copy_tile<D, ROWS>(shared->k[own.index % OWN], qkMap, (H + g) * D, first, z, full);
                copy_tile<D, ROWS>(shared->v[own.index % OWN], qkvMap, (H + G + g) * D, first, z, full);
                mbarrier_arrive(full);
            }
            for (int h = g * heads; h < (g + 1) * heads; h++)
                for (int tile = 0; tile < tiles; tile++, step++) {
                    const int query = firstQuery + tile * QUERIES, place = step % STAGES;
                    MBarrier* full = &shared->ring[place].full;
                    float2 stats[QUERIES / WARP]; // read before there is a place for them
                    int32_t from[QUERIES / WARP];
                    UNROLL
                    for (int i = 0; i < QUERIES / WARP; i++) {
                        const int row = min(query + i * WARP + lane(), T - 1);
                        stats[i] = rowStats[h * R + sequence + row];
                        from[i] = docStart != nullptr ? docStart[row] : 0;
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
                        if (docStart != nullptr) shared->docStart[place][i * WARP + lane()] = inside ? from[i] : 0;
                    }
                    __syncwarp();
                    if (lane() == 0) mbarrier_arrive(full);
                }
        }
        wait_empty(shared->own, own.index);
        if (lane() == 0) {
            shared->jobs[own.index % OWN].first = -1;
            mbarrier_arrive(&shared->own[own.index % OWN].full);
        }
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
            const float2* stats = shared->stats[place] + lane() % 4 * 2;
            wait_full(shared->ring, step);
            bool seen = groupKey < T && query + QUERIES > groupKey; // some query sees some key
            bool masked = query < warpKey + 15;                     // some query of the tile does not see some key of the warp
            if (documents) {
                seen &= shared->docStart[place][0] < groupKey + GROUP_ROWS;
                masked |= shared->docStart[place][min(QUERIES, T - query) - 1] > warpKey;
            }
            if (seen) {
                float s[1][N][4], dP[1][N][4];
                wgmma_hold(s[0]);
                wgmma_hold(dP[0]);
                wgmma_fence();
                start_dot_rows<D, ROWS, QUERIES>(s[0], k, groupRow, q);
                wgmma_commit();
                start_dot_rows<D, ROWS, QUERIES>(dP[0], v, groupRow, dOut);
                wgmma_commit();
                wgmma_wait<1>();
                wgmma_hold(s[0]);
                if (masked) hide_transposed(s, warpKey, query, documents ? shared->docStart[place] : nullptr);
                UNROLL
                for (int n = 0; n < N; n++) {
                    const float4 pair = *reinterpret_cast<const float4*>(stats + 8 * n); // of a query and the next
                    UNROLL
                    for (int i = 0; i < 4; i++) s[0][n][i] = fast_exp2(s[0][n][i] * BASE2<D> - (i % 2 == 0 ? pair.x : pair.z));
                }
                uint32_t p[1][N][2], dScore[1][N][2];
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
                wgmma_hold(dValue[0]);
                wgmma_hold(dKey[0]);
                wgmma_fence();
                start_add_product<D, QUERIES>(dValue[0], p[0], dOut);
                start_add_product<D, QUERIES>(dKey[0], dScore[0], q);
                wgmma_commit();
                wgmma_wait<0>();
                wgmma_hold(dValue[0]);
                wgmma_hold(dKey[0]);
            }
            done_with(shared->ring, step);
            query += QUERIES;
            if (query > job.to) query = job.from, h++; // the next head's
        }
        meet(&shared->met[group], index);
        if (groupKey < T) {
            const int64_t sequence = int64_t(job.sequence) * T;
            bf16* dKeys = dQk + sequence * (H + G) * D + (H + job.head) * D;
            bf16* dValues = dQkv + sequence * (H + 2 * G) * D + (H + G + job.head) * D;
            store_rows<D, ROWS>(dKeys, (H + G) * D, warpKey, T, dKey, SCALE<D>, k, tileRow);
            store_rows<D, ROWS>(dValues, (H + 2 * G) * D, warpKey, T, dValue, 1.0f, v, tileRow);
            fence_before_copies();
        }
        done_with(shared->own, index);
    }
}

#define ON_HOPPER(call) attention_hopper::call
#else
#define ON_HOPPER(call) (void)0
#endif

} // namespace attention_hopper

#define HOPPER_KERNEL(name) \
    extern "C" __global__ void __launch_bounds__((attention_hopper::GROUPS + 1) * WARPGROUP, 1) attention_hopper_##name
#define MAP const __grid_constant__ TensorMap
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
