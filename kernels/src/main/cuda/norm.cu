// norm.cu: y[r,c] = (x[r,c] - mean[r]) * rdev[r] * gain[c] + bias[c]; mean is 0 for RMS, rdev = 1 / sqrt(mean_c((x - mean)^2) + eps)
// Shapes     x, y, dx, dy (R,C) bf16 row-major; stats (R,2) f32: mean, rdev; gain, bias (C) f32 or null;
//            dGain, dBias partials (gridDim.x, C) f32
// Accepts    R > 0, C a multiple of 8 up to 8192. Tensors start on 16 bytes. The launcher checks, the kernel trusts.
// Launch     256 threads; W warps own a row, W = 1, 2, 4, 8 for C up to 1024, 2048, 4096, 8192, so a block holds 8 / W rows at a
//            time: grid ceil(R W / 8). norm_backward_weights: any grid, blocks stride over the rows; elements_add_rows then adds
//            its partials to dGain and dBias.
// Traffic    forward 4 R C, backward 8 R C bytes, and 8 R of stats: a row stays in registers between its one read and its one write
// FLOPs      about 8 R C: bandwidth bound. H200 at 4.2 TB/s, predicted, R C of ado-124m (50.3 M) and ado-1.3b (33.6 M):
//            forward 48 and 32 us, backward 96 and 64 us
// Exactness  f32 sums in fixed order: bitwise repeatable
// Reference  Zhang and Sennrich 2019, arXiv:1910.07467; Ba et al. 2016, arXiv:1607.06450; definition in PlainNorm
#include "common.cuh"

namespace norms { // `norm` is a function of the toolkit's headers
constexpr int BLOCK_WARPS = 8, OCTETS = 4; // a thread holds up to 4 times 8 elements of its row

// Where a thread stands: W warps to a row, `place` among their threads.
struct Place {
    int warps, threads, place, row_of_block, rows;
};
DEVICE Place place_of(int warps) {
    const int threads = warps * WARP;
    return {warps, threads, int(threadIdx.x) % threads, int(threadIdx.x) / threads, BLOCK_WARPS / warps};
}
// First of the 8 columns that the thread's i-th octet holds: neighbours lie side by side.
DEVICE int column(const Place& at, int i) { return 8 * (i * at.threads + at.place); }

// Sum over the threads of a row, the same in each of them. Called by the whole block.
DEVICE float row_sum(float x, const Place& at, float* scratch) {
    x = warp_sum(x);
    if (at.warps == 1) return x;
    __syncthreads(); // the scratch of the sum before has been read
    if (lane() == 0) scratch[warp()] = x;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < at.warps; i++) sum += scratch[at.row_of_block * at.warps + i];
    return sum;
}

DEVICE void row_load(uint4 (&packed)[OCTETS], const bf16* row, const Place& at, int C, bool valid) {
    UNROLL
    for (int i = 0; i < OCTETS; i++) {
        packed[i] = make_uint4(0, 0, 0, 0);
        if (valid && column(at, i) < C) packed[i] = *reinterpret_cast<const uint4*>(row + column(at, i));
    }
}

// Normalises the row that x holds.
DEVICE void forward(
    bf16* y, float* stats, const uint4 (&x)[OCTETS], const float* gain, const float* bias, const Place& at, int64_t r, bool valid,
    int C, float eps, bool layer, float* scratch) {
    float mean = 0, squares = 0;
    if (layer) {
        float sum = 0;
        UNROLL
        for (int i = 0; i < OCTETS; i++) {
            float value[8];
            unpack8(value, x[i]);
            for (int k = 0; k < 8; k++) sum += value[k]; // zeros past the row's end
        }
        mean = row_sum(sum, at, scratch) / C;
    }
    UNROLL
    for (int i = 0; i < OCTETS; i++) {
        if (column(at, i) >= C) continue;
        float value[8];
        unpack8(value, x[i]);
        for (int k = 0; k < 8; k++) squares += (value[k] - mean) * (value[k] - mean);
    }
    const float rdev = 1 / sqrtf(row_sum(squares, at, scratch) / C + eps);
    if (!valid) return;
    UNROLL
    for (int i = 0; i < OCTETS; i++) {
        const int c = column(at, i);
        if (c >= C) continue;
        float value[8], g[8], b[8];
        unpack8(value, x[i]);
        for (int k = 0; k < 8; k++) value[k] = (value[k] - mean) * rdev;
        if (gain != nullptr) {
            load8(g, gain + c);
            for (int k = 0; k < 8; k++) value[k] *= g[k];
        }
        if (bias != nullptr) {
            load8(b, bias + c);
            for (int k = 0; k < 8; k++) value[k] += b[k];
        }
        store8(y + r * C + c, value);
    }
    if (at.place == 0) *reinterpret_cast<float2*>(stats + 2 * r) = make_float2(mean, rdev);
}

// dx += rdev (g - mean_c(g) - n mean_c(g n)) for one row, where n = (x - mean) rdev and g = dy gain; RMS leaves mean_c(g) out.
// Leaves the row's dy n and dy in the accumulators.
template <bool WEIGHTS>
DEVICE void backward(
    bf16* dx, float (&dGain)[OCTETS][8], float (&dBias)[OCTETS][8], const bf16* dy, const bf16* x, const float* stats, const float* gain,
    const Place& at, int64_t r, bool valid, int C, bool layer, float* scratch) {
    uint4 dyPacked[OCTETS], xPacked[OCTETS], dxPacked[OCTETS];
    row_load(dyPacked, dy + r * C, at, C, valid);
    row_load(xPacked, x + r * C, at, C, valid);
    row_load(dxPacked, dx + r * C, at, C, valid);
    float mean = 0, rdev = 0;
    if (valid) {
        const float2 stat = *reinterpret_cast<const float2*>(stats + 2 * r);
        mean = stat.x, rdev = stat.y;
    }
    float sumG = 0, sumGn = 0;
    UNROLL
    for (int i = 0; i < OCTETS; i++) {
        const int c = column(at, i);
        if (c >= C) continue;
        float dyValue[8], n[8], g[8];
        unpack8(dyValue, dyPacked[i]);
        unpack8(n, xPacked[i]);
        if (gain != nullptr) load8(g, gain + c);
        for (int k = 0; k < 8; k++) {
            n[k] = (n[k] - mean) * rdev;
            if (WEIGHTS) {
                dGain[i][k] += dyValue[k] * n[k];
                dBias[i][k] += dyValue[k];
            }
            const float gk = gain != nullptr ? dyValue[k] * g[k] : dyValue[k];
            sumG += gk;
            sumGn += gk * n[k];
        }
    }
    const float meanGn = row_sum(sumGn, at, scratch) / C;
    const float meanG = layer ? row_sum(sumG, at, scratch) / C : 0;
    if (!valid) return;
    UNROLL
    for (int i = 0; i < OCTETS; i++) {
        const int c = column(at, i);
        if (c >= C) continue;
        float dyValue[8], xValue[8], sum[8], g[8];
        unpack8(dyValue, dyPacked[i]);
        unpack8(xValue, xPacked[i]);
        unpack8(sum, dxPacked[i]);
        if (gain != nullptr) load8(g, gain + c);
        for (int k = 0; k < 8; k++) {
            const float n = (xValue[k] - mean) * rdev, gk = gain != nullptr ? dyValue[k] * g[k] : dyValue[k];
            sum[k] += rdev * (gk - meanG - n * meanGn);
        }
        store8(dx + r * C + c, sum);
    }
}

// partial[c] = the sum of `mine` over the rows that the block holds at a time, in their order. C <= 4096 where they are several.
DEVICE void write_partial(float* partial, const float (&mine)[OCTETS][8], const Place& at, int C, float* shared) {
    for (int row = 0; row < at.rows; row++) {
        if (row == at.row_of_block) {
            UNROLL
            for (int i = 0; i < OCTETS; i++) {
                const int c = column(at, i);
                if (c >= C) continue;
                float sum[8] = {};
                if (row > 0) load8(sum, shared + c);
                for (int k = 0; k < 8; k++) sum[k] += mine[i][k];
                store8(row + 1 == at.rows ? partial + c : shared + c, sum);
            }
        }
        __syncthreads();
    }
}
} // namespace norms

extern "C" __global__ void __launch_bounds__(256, 4) norm_forward(
    bf16* y, float* stats, const bf16* x, const float* gain, const float* bias, int64_t R, int32_t C, int32_t warps, float eps,
    int32_t layer) {
    __shared__ float scratch[norms::BLOCK_WARPS];
    const norms::Place at = norms::place_of(warps);
    const int64_t r = int64_t(blockIdx.x) * at.rows + at.row_of_block;
    uint4 packed[norms::OCTETS];
    norms::row_load(packed, x + r * C, at, C, r < R);
    norms::forward(y, stats, packed, gain, bias, at, r, r < R, C, eps, layer, scratch);
}
KERNEL(norm_forward)

extern "C" __global__ void __launch_bounds__(256, 2) norm_backward(
    bf16* dx, const bf16* dy, const bf16* x, const float* stats, const float* gain, int64_t R, int32_t C, int32_t warps,
    int32_t layer) {
    __shared__ float scratch[norms::BLOCK_WARPS];
    const norms::Place at = norms::place_of(warps);
    const int64_t r = int64_t(blockIdx.x) * at.rows + at.row_of_block;
    float none[norms::OCTETS][8];
    norms::backward<false>(dx, none, none, dy, x, stats, gain, at, r, r < R, C, layer, scratch);
}
KERNEL(norm_backward)

extern "C" __global__ void __launch_bounds__(256) norm_backward_weights(
    bf16* dx, float* dGainPartial, float* dBiasPartial, const bf16* dy, const bf16* x, const float* stats, const float* gain, int64_t R,
    int32_t C, int32_t warps, int32_t layer) {
    __shared__ float scratch[norms::BLOCK_WARPS];
    __shared__ __align__(16) float shared[4096];
    const norms::Place at = norms::place_of(warps);
    float dGain[norms::OCTETS][8] = {}, dBias[norms::OCTETS][8] = {};
    for (int64_t first = int64_t(blockIdx.x) * at.rows; first < R; first += int64_t(gridDim.x) * at.rows) {
        const int64_t r = first + at.row_of_block;
        norms::backward<true>(dx, dGain, dBias, dy, x, stats, gain, at, r, r < R, C, layer, scratch);
    }
    if (dGainPartial != nullptr) norms::write_partial(dGainPartial + int64_t(blockIdx.x) * C, dGain, at, C, shared);
    if (dBiasPartial != nullptr) norms::write_partial(dBiasPartial + int64_t(blockIdx.x) * C, dBias, at, C, shared);
}
KERNEL(norm_backward_weights)
