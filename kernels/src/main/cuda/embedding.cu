// embedding.cu: x[r,c] = table[tokens[r],c] (+ positions[r mod T,c]); backward adds dx to the rows that were read
// Shapes     tokens (R) i32 in [0,V); table (V,C), positions (T,C), x, dx (R,C) bf16; dTable (V,C), dPositions (T,C) f32
//            sorted (R) pairs (token, row); counts (ceil(R/2048), 512) i32; partial (ceil(R/32), 2, C) f32
// Accepts    R > 0, below 2^31; C a multiple of 8, R C / 8 < 2^31. Tensors start on 16 bytes. The launcher checks, the kernel trusts.
// Backward   (token, row) pairs are sorted by token, stably, 9 bits at a time from the lowest: `count` then `scatter` for each digit.
//            Equal tokens then lie in one run, in the order of rows. `sum` cuts the sorted rows into chunks of 32:
//
//              chunk     |  0                |  1                |  2                |
//              token     |  a a b b b b b c  |  c c c c c c c c  |  c c d d d d d d  |
//                           own own       last  first               first own
//
//            A run inside a chunk is added to its row of dTable at once, by its only owner. A run that crosses chunks leaves one
//            partial sum in each: `last` where it begins, `first` where it goes on; `join` adds them, in order, in 8 slices, so that a
//            batch of one single token is as fast as any.
// Launch     count, scatter: 512 threads, grid ceil(R/2048). forward, positions: a thread for each 8 elements, blocks of 256.
//            sum: up to 256 threads, 8 columns each, grid (ceil(R/32), column blocks). join: blocks (32,8), grid (ceil(R/32), ceil(C/256))
// Traffic    forward 4 R C and positions; backward 2 R C, 8 C for each different token, 8 C for each 32 rows of a long run; sorting
//            20 R a digit (R = 65536: 4 launches, about 12 us)
// FLOPs      one an element: bandwidth bound. H200 at 4.2 TB/s, predicted, R C of ado-124m (50.3 M) and ado-1.3b (33.6 M): forward 48
//            and 32 us; backward with a third of the rows different 24 + 32 + 15 and 16 + 21 + 12 us
// Exactness  f32 sums in fixed order, no float atomics: bitwise repeatable
// Reference  definition in PlainEmbedding; radix sort: Knuth, The Art of Computer Programming 3, 5.2.5
#include "common.cuh"

namespace embedding {
constexpr int DIGIT_BITS = 9, DIGITS = 1 << DIGIT_BITS;
constexpr int SORT_WARPS = DIGITS / WARP, STEPS = 4, WARP_TILE = STEPS * WARP, TILE = SORT_WARPS * WARP_TILE;
constexpr int CHUNK = 32, BATCH = 8, JOIN_WARPS = 8;
constexpr uint32_t NO_TOKEN = 0xffffffffu;

// Pair i: of the tokens as they came (sorted is null), or of the sort so far.
DEVICE uint2 pair_at(const int32_t* tokens, const uint2* sorted, int i) {
    return sorted == nullptr ? make_uint2(uint32_t(tokens[i]), uint32_t(i)) : sorted[i];
}
// Place of the thread's pair of a step: a warp has consecutive pairs, so that ranks follow their order.
DEVICE int64_t place_at(int step) { return int64_t(blockIdx.x) * TILE + warp() * WARP_TILE + step * WARP + lane(); }
// Where nothing is left the digit is one that no pair has.
DEVICE int digit_of(uint2 pair, bool valid, int shift) { return valid ? int(pair.x >> shift & (DIGITS - 1)) : DIGITS; }

// Exclusive sum over the block's DIGITS threads.
DEVICE int exclusive_sum(int x, int* warp_sums) {
    int sum = x;
    for (int offset = 1; offset < WARP; offset *= 2) {
        const int before = __shfl_up_sync(ALL_LANES, sum, offset);
        if (lane() >= offset) sum += before;
    }
    if (lane() == WARP - 1) warp_sums[warp()] = sum;
    __syncthreads();
    int base = 0;
    for (int i = 0; i < warp(); i++) base += warp_sums[i];
    return base + sum - x;
}
} // namespace embedding

extern "C" __global__ void embedding_forward(
    bf16* x, const int32_t* tokens, const bf16* table, const bf16* positions, uint32_t octets, uint32_t octets_a_row, uint32_t T) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= octets) return;
    const uint32_t r = i / octets_a_row, o = i % octets_a_row;
    uint4 packed = reinterpret_cast<const uint4*>(table)[int64_t(tokens[r]) * octets_a_row + o];
    if (positions != nullptr) {
        float value[8], position[8];
        unpack8(value, packed);
        unpack8(position, reinterpret_cast<const uint4*>(positions)[int64_t(r % T) * octets_a_row + o]);
        for (int k = 0; k < 8; k++) value[k] += position[k];
        packed = pack8(value);
    }
    reinterpret_cast<uint4*>(x)[i] = packed;
}
KERNEL(embedding_forward)

// counts[block][digit]: pairs of the block's tile.
extern "C" __global__ void __launch_bounds__(512)
    embedding_count(int32_t* counts, const int32_t* tokens, const uint2* sorted, int32_t R, int32_t shift) {
    __shared__ int count[embedding::DIGITS];
    count[threadIdx.x] = 0;
    __syncthreads();
    for (int step = 0; step < embedding::STEPS; step++) {
        const int64_t i = embedding::place_at(step);
        const bool valid = i < R;
        const uint2 pair = valid ? embedding::pair_at(tokens, sorted, int(i)) : make_uint2(0, 0);
        const int digit = embedding::digit_of(pair, valid, shift);
        const uint32_t peers = __match_any_sync(ALL_LANES, digit);
        if (valid && __ffs(int(peers)) - 1 == lane()) atomicAdd(&count[digit], __popc(peers)); // integers: any order is the same
    }
    __syncthreads();
    counts[int64_t(blockIdx.x) * embedding::DIGITS + threadIdx.x] = count[threadIdx.x];
}
KERNEL(embedding_count)

// Each pair to its place: after all pairs of lower digits, of the blocks and warps before, and of the lanes before in its warp.
extern "C" __global__ void __launch_bounds__(512) embedding_scatter(
    uint2* to, const int32_t* counts, const int32_t* tokens, const uint2* sorted, int32_t R, int32_t shift) {
    __shared__ int next[embedding::SORT_WARPS][embedding::DIGITS]; // where a warp's next pair of a digit goes
    __shared__ int warp_sums[embedding::SORT_WARPS];
    uint2 pair[embedding::STEPS];
    for (int w = 0; w < embedding::SORT_WARPS; w++) next[w][threadIdx.x] = 0;
    __syncthreads();
    UNROLL
    for (int step = 0; step < embedding::STEPS; step++) {
        const int64_t i = embedding::place_at(step);
        const bool valid = i < R;
        pair[step] = valid ? embedding::pair_at(tokens, sorted, int(i)) : make_uint2(0, 0);
        const int digit = embedding::digit_of(pair[step], valid, shift);
        const uint32_t peers = __match_any_sync(ALL_LANES, digit);
        if (valid && __ffs(int(peers)) - 1 == lane()) next[warp()][digit] += __popc(peers);
        __syncwarp();
    }
    __syncthreads();
    const int digit = threadIdx.x; // here a thread owns a digit
    int before = 0, total = 0;
    UNROLL_BY(8)
    for (unsigned block = 0; block < gridDim.x; block++) {
        const int count = counts[int64_t(block) * embedding::DIGITS + digit];
        before += block < blockIdx.x ? count : 0;
        total += count;
    }
    int place = embedding::exclusive_sum(total, warp_sums) + before;
    for (int w = 0; w < embedding::SORT_WARPS; w++) {
        const int count = next[w][digit];
        next[w][digit] = place;
        place += count;
    }
    __syncthreads();
    UNROLL
    for (int step = 0; step < embedding::STEPS; step++) {
        const bool valid = embedding::place_at(step) < R;
        const int own = embedding::digit_of(pair[step], valid, shift);
        const uint32_t peers = __match_any_sync(ALL_LANES, own);
        if (valid) to[next[warp()][own] + __popc(peers & ((1u << lane()) - 1))] = pair[step];
        __syncwarp();
        if (valid && __ffs(int(peers)) - 1 == lane()) next[warp()][own] += __popc(peers);
        __syncwarp();
    }
}
KERNEL(embedding_scatter)

extern "C" __global__ void __launch_bounds__(256)
    embedding_sum(float* dTable, float* partial, const bf16* dx, const uint2* sorted, int32_t R, int32_t C) {
    __shared__ uint32_t tokens[embedding::CHUNK + 2]; // with the neighbours of the chunk
    __shared__ uint32_t rows[embedding::CHUNK + 2];
    const int64_t first = int64_t(blockIdx.x) * embedding::CHUNK;
    const int n = int(min(int64_t(embedding::CHUNK), R - first));
    for (int i = threadIdx.x; i < embedding::CHUNK + 2; i += blockDim.x) {
        const int64_t place = first - 1 + i;
        const uint2 pair = place >= 0 && place < R ? sorted[place] : make_uint2(embedding::NO_TOKEN, 0);
        tokens[i] = pair.x;
        rows[i] = pair.y;
    }
    __syncthreads();
    const int c = 8 * (blockIdx.y * blockDim.x + threadIdx.x);
    if (c >= C) return;
    float sum[8] = {};
    bool continued = tokens[0] == tokens[1];
    for (int j = 0; j < n; j += embedding::BATCH) {
        uint4 packed[embedding::BATCH];
        UNROLL
        for (int k = 0; k < embedding::BATCH; k++)
            if (j + k < n) packed[k] = *reinterpret_cast<const uint4*>(dx + int64_t(rows[j + k + 1]) * C + c);
        UNROLL
        for (int k = 0; k < embedding::BATCH; k++) {
            if (j + k >= n) break;
            float value[8];
            unpack8(value, packed[k]);
            for (int i = 0; i < 8; i++) sum[i] += value[i];
            const uint32_t token = tokens[j + k + 1];
            const bool same = tokens[j + k + 2] == token, last = j + k + 1 == n;
            if (same && !last) continue;
            if (continued || same) {
                store8(partial + (2 * int64_t(blockIdx.x) + (continued ? 0 : 1)) * C + c, sum);
            } else {
                float total[8];
                load8(total, dTable + int64_t(token) * C + c);
                for (int i = 0; i < 8; i++) total[i] += sum[i];
                store8(dTable + int64_t(token) * C + c, total);
            }
            continued = false;
            for (int i = 0; i < 8; i++) sum[i] = 0;
        }
    }
}
KERNEL(embedding_sum)

// The block of the chunk where a run begins that crosses chunks adds up the run's partial sums; all other blocks leave.
extern "C" __global__ void __launch_bounds__(256)
    embedding_join(float* dTable, const float* partial, const uint2* sorted, int32_t R, int32_t C) {
    __shared__ __align__(16) float sums[embedding::JOIN_WARPS][8 * WARP + 8]; // the 8 keeps rows apart by a bank of 16 bytes
    const int64_t first = int64_t(blockIdx.x) * embedding::CHUNK, end = first + embedding::CHUNK;
    if (end >= R) return;
    const uint32_t token = sorted[end - 1].x;
    if (sorted[end].x != token) return;
    if (first > 0 && sorted[first].x == token && sorted[first - 1].x == token) return;
    int low = blockIdx.x + 1, high = gridDim.x; // the last chunk that begins with the token is in [low, high)
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (sorted[int64_t(middle) * embedding::CHUNK].x == token) low = middle;
        else high = middle;
    }
    const int parts = low - int(blockIdx.x) + 1;
    const int from = int(int64_t(parts) * threadIdx.y / embedding::JOIN_WARPS);
    const int to = int(int64_t(parts) * (threadIdx.y + 1) / embedding::JOIN_WARPS);
    const int c = 8 * (blockIdx.y * WARP + threadIdx.x);
    float sum[8] = {};
    if (c < C) {
        UNROLL_BY(4)
        for (int p = from; p < to; p++) {
            float value[8];
            load8(value, partial + (2 * (int64_t(blockIdx.x) + p) + (p == 0 ? 1 : 0)) * C + c);
            for (int i = 0; i < 8; i++) sum[i] += value[i];
        }
    }
    store8(&sums[threadIdx.y][8 * threadIdx.x], sum);
    __syncthreads();
    const int own = threadIdx.y * WARP + threadIdx.x, out = blockIdx.y * 8 * WARP + own;
    float total = 0;
    for (int i = 0; i < embedding::JOIN_WARPS; i++) total += sums[i][own];
    if (out < C) dTable[int64_t(token) * C + out] += total;
}
KERNEL(embedding_join)

// dPositions[t] += sum over the B sequences, in order. octets = T C / 8.
extern "C" __global__ void embedding_positions(float* dPositions, const bf16* dx, uint32_t octets, int32_t B) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= octets) return;
    float total[8], value[8], sum[8] = {};
    UNROLL_BY(4)
    for (int b = 0; b < B; b++) {
        unpack8(value, reinterpret_cast<const uint4*>(dx)[int64_t(b) * octets + i]);
        for (int k = 0; k < 8; k++) sum[k] += value[k];
    }
    load8(total, dPositions + 8 * int64_t(i));
    for (int k = 0; k < 8; k++) total[k] += sum[k];
    store8(dPositions + 8 * int64_t(i), total);
}
KERNEL(embedding_positions)
