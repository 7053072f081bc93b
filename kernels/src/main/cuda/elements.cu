// elements.cu: sums element by element, sums over rows, and the bf16 copy of f32 masters.
// Shapes     x, y (N) of one type; dy (R,O) bf16 row-major; partial (P,S) f32: P rows of S floats, of which a
//            column range is summed
// Accepts    N > 0; R > 0; O a multiple of 8. Tensors start on 16 bytes. The launcher checks, the kernel trusts.
// Launch     elements_add_*, elements_round: a thread for each 8 elements, blocks of 256
//            elements_column_sums: blocks of (32, 8), grid (ceil(O/256), P); elements_add_rows: blocks of (32, 16), grid ceil(C/32)
// Traffic    add 6 N (bf16), 12 N (f32); round 6 N; column_sums 2 R O + 4 P O; add_rows 4 P C + 8 C bytes
// FLOPs      one an element: bandwidth bound. H200 at 4.2 TB/s, predicted: column_sums of (65536, 2304) bf16
//            72 us; add_f32 of 124M 354 us; round of 124M 178 us; add_rows of (264, 2048) 3 us, latency
// Exactness  f32 sums in fixed order: bitwise repeatable
// Reference  PlainBackend.add and PlainGemm (biases), by definition
#include "common.cuh"

namespace elements {
constexpr int COLUMN_WARPS = 8, ROW_SLICES = 16;

DEVICE int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
} // namespace elements

extern "C" __global__ void elements_add_bf16(bf16* y, const bf16* x, int64_t N) {
    const int64_t i = 8 * elements::thread_index();
    if (i + 8 <= N) {
        float sum[8], summand[8];
        load8(sum, y + i);
        load8(summand, x + i);
        for (int k = 0; k < 8; k++) sum[k] += summand[k];
        store8(y + i, sum);
    } else {
        for (int64_t k = i; k < N; k++) y[k] = to_bf16(to_float(y[k]) + to_float(x[k]));
    }
}
KERNEL(elements_add_bf16)

extern "C" __global__ void elements_add_f32(float* y, const float* x, int64_t N) {
    const int64_t i = 8 * elements::thread_index();
    if (i + 8 <= N) {
        float sum[8], summand[8];
        load8(sum, y + i);
        load8(summand, x + i);
        for (int k = 0; k < 8; k++) sum[k] += summand[k];
        store8(y + i, sum);
    } else {
        for (int64_t k = i; k < N; k++) y[k] += x[k];
    }
}
KERNEL(elements_add_f32)

// y = x, rounded to bf16.
extern "C" __global__ void elements_round(bf16* y, const float* x, int64_t N) {
    const int64_t i = 8 * elements::thread_index();
    if (i + 8 <= N) {
        float values[8];
        load8(values, x + i);
        store8(y + i, values);
    } else {
        for (int64_t k = i; k < N; k++) y[k] = to_bf16(x[k]);
    }
}
KERNEL(elements_round)

// partial[p,o] = sum of x[r,o] over the p-th of P slices of the rows. A lane owns 8 columns, the 8 warps take rows in turn, and
// their sums are added in the order of the warps.
extern "C" __global__ void __launch_bounds__(256) elements_column_sums(float* partial, const bf16* x, int64_t R, int32_t O) {
    __shared__ __align__(16) float sums[elements::COLUMN_WARPS][8 * WARP + 8]; // the 8 keeps rows apart by a bank of 16 bytes
    const int column = (blockIdx.x * WARP + threadIdx.x) * 8;
    const int64_t first = R * blockIdx.y / gridDim.y, end = R * (blockIdx.y + 1) / gridDim.y;
    float sum[8] = {};
    if (column < O) {
        UNROLL_BY(4)
        for (int64_t r = first + threadIdx.y; r < end; r += elements::COLUMN_WARPS) {
            float value[8];
            load8(value, x + r * O + column);
            for (int k = 0; k < 8; k++) sum[k] += value[k];
        }
    }
    store8(&sums[threadIdx.y][8 * threadIdx.x], sum);
    __syncthreads();
    const int own = threadIdx.y * WARP + threadIdx.x, out = blockIdx.x * 8 * WARP + own;
    float total = 0;
    for (int i = 0; i < elements::COLUMN_WARPS; i++) total += sums[i][own];
    if (out < O) partial[int64_t(blockIdx.y) * O + out] = total;
}
KERNEL(elements_column_sums)

// y[c] += sum over p of partial[p * stride + c], c < C: the second half of every sum over rows. Rows are cut into 16 slices, whose
// sums are added in their order.
extern "C" __global__ void __launch_bounds__(512)
    elements_add_rows(float* y, const float* partial, int32_t P, int64_t stride, int32_t C) {
    __shared__ float sums[elements::ROW_SLICES][WARP];
    const int c = blockIdx.x * WARP + threadIdx.x, slice = threadIdx.y;
    const int first = P * slice / elements::ROW_SLICES, end = P * (slice + 1) / elements::ROW_SLICES;
    float sum = 0;
    if (c < C) {
        UNROLL_BY(8)
        for (int p = first; p < end; p++) sum += partial[p * stride + c];
    }
    sums[slice][threadIdx.x] = sum;
    __syncthreads();
    if (slice > 0 || c >= C) return; // whole warps: a warp is one slice; lanes past C are done
    float total = 0;
    for (int i = 0; i < elements::ROW_SLICES; i++) total += sums[i][threadIdx.x];
    y[c] += total;
}
KERNEL(elements_add_rows)
