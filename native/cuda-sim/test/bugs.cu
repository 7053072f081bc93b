// bugs.cu: kernels with one bug each, and their fixed twins, for the tests of the simulator. All run with one block of 128 threads
// unless they say otherwise, 4 KiB of dynamic shared memory, and (out, in, n): n floats each, n = 128.
#include "common.cuh"

#define TEST_KERNEL(name)                                                             \
    extern "C" __global__ void name(float* out, const float* in, int32_t n);          \
    KERNEL(name)                                                                      \
    extern "C" __global__ void name(float* out, const float* in, [[maybe_unused]] int32_t n)

// A neighbour in another warp reads what this thread wrote.
TEST_KERNEL(missing_barrier) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = tile[(threadIdx.x + 32) % 128];
}
TEST_KERNEL(with_barrier) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[(threadIdx.x + 32) % 128];
}

// The same in static memory, in a loop: the barrier before the next round's writes is missing.
TEST_KERNEL(missing_second_barrier) {
    __shared__ float tile[128];
    float sum = 0;
    for (int round = 0; round < 2; round++) {
        tile[threadIdx.x] = in[threadIdx.x] + float(round);
        __syncthreads();
        sum += tile[127 - threadIdx.x];
    }
    out[threadIdx.x] = sum;
}
TEST_KERNEL(with_second_barrier) {
    __shared__ float tile[128];
    float sum = 0;
    for (int round = 0; round < 2; round++) {
        tile[threadIdx.x] = in[threadIdx.x] + float(round);
        __syncthreads();
        sum += tile[127 - threadIdx.x];
        __syncthreads();
    }
    out[threadIdx.x] = sum;
}

// Within a warp; a shuffle in between orders nothing.
TEST_KERNEL(missing_syncwarp) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    const float sum = warp_sum(1);
    out[threadIdx.x] = tile[threadIdx.x ^ 1] * sum;
}
TEST_KERNEL(with_syncwarp) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    __syncwarp();
    out[threadIdx.x] = tile[threadIdx.x ^ 1] * warp_sum(1);
}

// Two threads share a word, each has its half: no race; with the neighbour's half it is one.
TEST_KERNEL(halves_of_others) {
    DYNAMIC_SHARED(bf16, tile);
    tile[threadIdx.x] = to_bf16(in[threadIdx.x]);
    tile[threadIdx.x ^ 1] = to_bf16(in[threadIdx.x]);
    out[threadIdx.x] = 0;
}
TEST_KERNEL(halves_of_own) {
    DYNAMIC_SHARED(bf16, tile);
    tile[threadIdx.x] = to_bf16(in[threadIdx.x]);
    __syncthreads();
    out[threadIdx.x] = to_float(tile[threadIdx.x ^ 1]);
}

TEST_KERNEL(one_past_the_end) { out[threadIdx.x + 1] = in[threadIdx.x]; }
TEST_KERNEL(inside) { out[threadIdx.x] = in[threadIdx.x]; }

TEST_KERNEL(past_dynamic_shared) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x + 1024 - 127] = in[threadIdx.x];
    out[threadIdx.x] = 0;
}
TEST_KERNEL(end_of_dynamic_shared) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x + 1024 - 128] = in[threadIdx.x];
    out[threadIdx.x] = 0;
}
TEST_KERNEL(past_static_shared) {
    __shared__ float small[100];
    small[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = small[threadIdx.x];
}
TEST_KERNEL(end_of_static_shared) {
    __shared__ float small[128];
    small[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = small[threadIdx.x];
}

TEST_KERNEL(unwritten_shared) {
    DYNAMIC_SHARED(float, tile);
    if (threadIdx.x != 5) tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}
TEST_KERNEL(written_shared) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = threadIdx.x != 5 ? in[threadIdx.x] : 0;
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}

TEST_KERNEL(barrier_in_a_branch) {
    if (threadIdx.x < 64) __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}
TEST_KERNEL(barrier_for_all) {
    __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}

TEST_KERNEL(shuffle_after_some_left) {
    if (threadIdx.x >= unsigned(n) - 3) return;
    out[threadIdx.x] = warp_sum(in[threadIdx.x]);
}
TEST_KERNEL(shuffle_of_all) {
    const float sum = warp_sum(in[threadIdx.x]);
    if (threadIdx.x >= unsigned(n) - 3) return;
    out[threadIdx.x] = sum;
}

TEST_KERNEL(shuffle_against_ballot) {
    out[threadIdx.x] = threadIdx.x % 2 == 0 ? __shfl_sync(ALL_LANES, 1.0, 0) : float(__any_sync(ALL_LANES, 1));
    out[threadIdx.x] += in[threadIdx.x];
}

TEST_KERNEL(partial_mask) {
    float x = in[threadIdx.x];
    if (lane() < 16) x += __shfl_xor_sync(0xffffu, x, 1);
    out[threadIdx.x] = x;
}

// Each thread copies 16 bytes; 32 threads have work.
TEST_KERNEL(early_async_read) {
    DYNAMIC_SHARED(float, tile);
    if (threadIdx.x < 32) cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x);
    cp_async_commit();
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
    cp_async_wait<0>();
}
TEST_KERNEL(async_read) {
    DYNAMIC_SHARED(float, tile);
    if (threadIdx.x < 32) cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];
}
// Two stages in flight: waiting until one is pending completes the first only.
TEST_KERNEL(async_second_stage_early) {
    DYNAMIC_SHARED(float, tile);
    for (int stage = 0; stage < 2; stage++) {
        if (threadIdx.x < 32) cp_async_16(tile + 128 * stage + 4 * threadIdx.x, in + 4 * threadIdx.x);
        cp_async_commit();
    }
    cp_async_wait<1>();
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x] + tile[128 + threadIdx.x];
}
TEST_KERNEL(async_first_stage) {
    DYNAMIC_SHARED(float, tile);
    for (int stage = 0; stage < 2; stage++) {
        if (threadIdx.x < 32) cp_async_16(tile + 128 * stage + 4 * threadIdx.x, in + 4 * threadIdx.x);
        cp_async_commit();
    }
    cp_async_wait<1>();
    __syncthreads();
    const float first = tile[threadIdx.x];
    cp_async_wait<0>();
    __syncthreads();
    out[threadIdx.x] = first + tile[128 + threadIdx.x];
}
// The next tile is fetched into a buffer that other warps still read.
TEST_KERNEL(async_refill_too_soon) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[127 - threadIdx.x];
    if (threadIdx.x < 32) cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x);
    cp_async_commit();
    cp_async_wait<0>();
}
TEST_KERNEL(async_refill) {
    DYNAMIC_SHARED(float, tile);
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[127 - threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 32) cp_async_16(tile + 4 * threadIdx.x, in + 4 * threadIdx.x);
    cp_async_commit();
    cp_async_wait<0>();
}

TEST_KERNEL(misaligned) { out[threadIdx.x] = *reinterpret_cast<const float*>(reinterpret_cast<const char*>(in) + 2); }
TEST_KERNEL(write_to_null) { *(static_cast<float*>(nullptr) + threadIdx.x + n) = in[0] + out[0]; }
TEST_KERNEL(trap_of_thread_7) {
    out[threadIdx.x] = in[threadIdx.x];
    if (threadIdx.x == 7) __trap();
}

// ---- several blocks -----------------------------------------------------------------------------------------------------

TEST_KERNEL(blocks_add_plainly) {
    if (threadIdx.x == 0) out[0] = out[0] + in[blockIdx.x];
}
TEST_KERNEL(blocks_add_atomically) {
    if (threadIdx.x == 0) atomicAdd(reinterpret_cast<int*>(out), int(in[blockIdx.x]));
}

// The block that comes last adds what all have stored: out[0] counts blocks (as an integer), out[1 + b] is block b's.
template <bool FENCE>
DEVICE void last_block_adds(float* out, const float* in) {
    __shared__ int is_last;
    if (threadIdx.x == 0) {
        out[1 + blockIdx.x] = in[blockIdx.x];
        if (FENCE) __threadfence();
        is_last = atomicAdd(reinterpret_cast<int*>(out), 1) == int(gridDim.x) - 1;
    }
    __syncthreads();
    if (!is_last || threadIdx.x != 0) return;
    float sum = 0;
    for (unsigned b = 0; b < gridDim.x; b++) sum += out[1 + b];
    out[100] = sum;
}
TEST_KERNEL(last_block_without_fence) { last_block_adds<false>(out, in); }
TEST_KERNEL(last_block_with_fence) { last_block_adds<true>(out, in); }
