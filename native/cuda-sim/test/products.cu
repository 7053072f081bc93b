// products.cu: what common.cuh offers beyond plain C++, for comparison with plain C++ in the tests of the simulator.
#include "common.cuh"

// d (16,8) += a (16,16) b (16,8) by one warp, fragments by ldmatrix: a row-major, b row-major (so transposed on loading).
extern "C" __global__ void warp_product(float* d, const bf16* a, const bf16* b) {
    __shared__ __align__(16) bf16 a_tile[16 * 16], b_tile[16 * 8];
    for (int i = lane(); i < 16 * 16; i += WARP) a_tile[i] = a[i];
    for (int i = lane(); i < 16 * 8; i += WARP) b_tile[i] = b[i];
    __syncwarp();
    uint32_t fa[4], fb4[4];
    // matrices in the order of the fragment: rows 0-7 and 8-15 of columns 0-7, then of columns 8-15
    ldmatrix_x4(fa, a_tile + lane() % 16 * 16 + lane() / 16 * 8);
    ldmatrix_x4_transposed(fb4, b_tile + lane() % 16 * 8); // matrices 2 and 3 repeat 0 and 1
    const uint32_t fb[2] = {fb4[0], fb4[1]};
    const int g = lane() / 4, q = lane() % 4;
    float fd[4] = {d[g * 8 + 2 * q], d[g * 8 + 2 * q + 1], d[(g + 8) * 8 + 2 * q], d[(g + 8) * 8 + 2 * q + 1]};
    mma_16x8x16(fd, fa, fb);
    d[g * 8 + 2 * q] = fd[0], d[g * 8 + 2 * q + 1] = fd[1];
    d[(g + 8) * 8 + 2 * q] = fd[2], d[(g + 8) * 8 + 2 * q + 1] = fd[3];
}
KERNEL(warp_product)

// r[m][lane] of ldmatrix.x4 of the 32 rows of 8 numbers at `rows`, plain and transposed
extern "C" __global__ void load_matrices(uint32_t* plain, uint32_t* transposed, const uint16_t* rows) {
    __shared__ __align__(16) uint16_t tile[32 * 8];
    for (int i = 0; i < 8; i++) tile[8 * lane() + i] = rows[8 * lane() + i];
    __syncwarp();
    uint32_t r[4];
    ldmatrix_x4(r, tile + 8 * lane());
    for (int m = 0; m < 4; m++) plain[32 * m + lane()] = r[m];
    ldmatrix_x4_transposed(r, tile + 8 * lane());
    for (int m = 0; m < 4; m++) transposed[32 * m + lane()] = r[m];
}
KERNEL(load_matrices)

// sums[blockIdx.x] = sum over 256 threads, sums of a block in each of its threads' order; maxima alike over warps
extern "C" __global__ void reductions(float* sums, float* warp_maxima, int64_t* total, const float* x) {
    __shared__ float scratch[8];
    const float mine = x[blockIdx.x * 256 + threadIdx.x];
    const float first = block_sum<8>(mine, scratch), second = block_sum<8>(2 * mine, scratch);
    const float largest = warp_max(mine);
    if (threadIdx.x == 0) sums[2 * blockIdx.x] = first, sums[2 * blockIdx.x + 1] = second;
    if (lane() == 0) warp_maxima[blockIdx.x * 8 + warp()] = largest;
    atomic_add(total, int64_t(mine * 1000));
}
KERNEL(reductions)

// dims[9]: block, grid and thread of the last thread of the last block
extern "C" __global__ void coordinates(int32_t* dims, int64_t* parameters, int8_t a, int64_t b, float c, double d) {
    const bool last = threadIdx.x == blockDim.x - 1 && threadIdx.y == blockDim.y - 1 && threadIdx.z == blockDim.z - 1 &&
                      blockIdx.x == gridDim.x - 1 && blockIdx.y == gridDim.y - 1 && blockIdx.z == gridDim.z - 1;
    if (!last) return;
    const unsigned all[9] = {blockDim.x, blockDim.y, blockDim.z, gridDim.x, gridDim.y, gridDim.z, threadIdx.x, threadIdx.y, threadIdx.z};
    for (int i = 0; i < 9; i++) dims[i] = int32_t(all[i]);
    parameters[0] = a, parameters[1] = b, parameters[2] = int64_t(c * 4), parameters[3] = int64_t(d * 4);
}
KERNEL(coordinates)

// y[i] += 1, for i < n, once for each thread that has an i
extern "C" __global__ void add_one(float* y, int32_t n) {
    const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] += 1;
}
KERNEL(add_one)

// The slot is read and a record published, as a training step does: payload, then its sequence number.
extern "C" __global__ void echo(int64_t* record, const int64_t* slot, int64_t sequence) {
    if (threadIdx.x != 0) return;
    record[1] = slot[0] * 2;
    store_release_system(record, sequence);
}
KERNEL(echo)
