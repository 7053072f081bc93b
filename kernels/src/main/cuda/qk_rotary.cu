// qk_rotary.cu: each query and key head of a row: n = (x - mean) rdev over the head's D values, y = n gain (both left out without
//            gains), then pair i of y, (y[2i], y[2i+1]), turned by the angle t base^(-2i/D) of its position t = r mod T
// Shapes     qkv, dQkv (R,W) bf16: H query heads, G key heads, G value heads of D; qk, dQk (R,(H+G)D) bf16; stats (R,H+G,2) f32:
//            mean, rdev; gainQ, gainK (D) f32 or null; turns (T,D/2,2) f32: cos, sin, or null; partial (gridDim.x,2,D) f32: dGainQ, dGainK
// Accepts    any R, T, H, G > 0; D a multiple of 8 up to 256. Tensors start on 16 bytes. The launcher checks, the kernel trusts.
// Launch     256 threads; a warp owns a row: as many heads side by side as fit its lanes, 8 values a lane. forward: grid
//            ceil(R / 8). backward: any grid, warps stride over rows; elements_add_rows then adds the partials to the gains' gradients.
// Traffic    forward 4 R (H+G) D, backward 6 R (H+G) D (4 without gains) bytes, and 8 R (H+G) of stats; turns come from L2
// FLOPs      about 12 an element: bandwidth bound. H200 at 4.2 TB/s, predicted, ado-124m (R (H+G) D = 101 M) and ado-1.3b (67 M):
//            forward 99 and 65 us, backward 147 and 97 us
// Exactness  f32 sums in fixed order: bitwise repeatable. Turns are a table made in doubles: at t = 8192 a f32 angle would be off by
//            2^-12, and sinf takes its slow path for large arguments.
// Reference  Henry et al. 2020, arXiv:2010.04245; Su et al. 2021, arXiv:2104.09864; definition in PlainQkRotary
#include "common.cuh"

namespace qk_rotary {
constexpr int BLOCK_WARPS = 8;
constexpr int FORWARD_BATCH = 4, BACKWARD_BATCH = 2; // independent loads under way in a lane

// Lanes of a warp: `group` of them (a power of two) for a head, of which D / 8 hold values; `heads` heads side by side.
struct Place {
    int group, heads, head, column;
    bool active;
};
DEVICE Place place_of(int D) {
    int group = 1;
    while (8 * group < D) group *= 2;
    const int column = lane() % group * 8;
    return {group, WARP / group, lane() / group, column, column < D};
}

DEVICE float head_sum(float x, int group) {
    for (int offset = group / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}

// Turns four pairs by cos, sin of each, or by the opposite angles.
template <int DIRECTION>
DEVICE void turn(float (&x)[8], const float (&turns)[8]) {
    for (int i = 0; i < 8; i += 2) {
        const float a = x[i], b = x[i + 1], cos = turns[i], sin = DIRECTION * turns[i + 1];
        x[i] = a * cos - b * sin;
        x[i + 1] = a * sin + b * cos;
    }
}

DEVICE void load_row(float (&turns)[8], const float* table, int64_t r, int T, int D, const Place& at) {
    if (table != nullptr && at.active) load8(turns, table + r % T * D + at.column);
}
} // namespace qk_rotary

extern "C" __global__ void __launch_bounds__(256) qk_rotary_forward(
    bf16* qk, float* stats, const bf16* qkv, const float* gainQ, const float* gainK, const float* table, int64_t R, int32_t T,
    int32_t H, int32_t heads, int32_t D, int32_t W, float eps) {
    const int64_t r = int64_t(blockIdx.x) * qk_rotary::BLOCK_WARPS + warp();
    if (r >= R) return; // whole warps leave together
    const qk_rotary::Place at = qk_rotary::place_of(D);
    float turns[8] = {}, gains[2][8] = {};
    qk_rotary::load_row(turns, table, r, T, D, at);
    if (gainQ != nullptr && at.active) {
        load8(gains[0], gainQ + at.column);
        load8(gains[1], gainK + at.column);
    }
    for (int first = 0; first < heads; first += qk_rotary::FORWARD_BATCH * at.heads) {
        uint4 packed[qk_rotary::FORWARD_BATCH];
        UNROLL
        for (int i = 0; i < qk_rotary::FORWARD_BATCH; i++) {
            const int h = first + i * at.heads + at.head;
            packed[i] = make_uint4(0, 0, 0, 0);
            if (at.active && h < heads) packed[i] = *reinterpret_cast<const uint4*>(qkv + r * W + h * D + at.column);
        }
        UNROLL
        for (int i = 0; i < qk_rotary::FORWARD_BATCH; i++) {
            const int h = first + i * at.heads + at.head;
            float x[8];
            unpack8(x, packed[i]);
            if (gainQ != nullptr) {
                float sum = 0, squares = 0;
                for (int k = 0; k < 8; k++) sum += x[k]; // lanes without values hold zeros
                const float mean = qk_rotary::head_sum(sum, at.group) / D;
                for (int k = 0; k < 8; k++) x[k] -= mean;
                if (at.active)
                    for (int k = 0; k < 8; k++) squares += x[k] * x[k];
                const float rdev = 1 / sqrtf(qk_rotary::head_sum(squares, at.group) / D + eps);
                for (int k = 0; k < 8; k++) x[k] *= rdev * (h < H ? gains[0][k] : gains[1][k]);
                if (at.column == 0 && h < heads)
                    *reinterpret_cast<float2*>(stats + 2 * (r * heads + h)) = make_float2(mean, rdev);
            }
            if (table != nullptr) qk_rotary::turn<1>(x, turns);
            if (at.active && h < heads) store8(qk + (r * heads + h) * D + at.column, x);
        }
    }
}
KERNEL(qk_rotary_forward)

extern "C" __global__ void __launch_bounds__(256) qk_rotary_backward(
    bf16* dQkv, float* partial, const bf16* dQk, const bf16* qkv, const float* stats, const float* gainQ, const float* gainK,
    const float* table, int64_t R, int32_t T, int32_t H, int32_t heads, int32_t D, int32_t W) {
    __shared__ __align__(16) float shared[qk_rotary::BLOCK_WARPS * WARP * 16];
    const qk_rotary::Place at = qk_rotary::place_of(D);
    float gains[2][8] = {}, dGains[2][8] = {};
    if (gainQ != nullptr && at.active) {
        load8(gains[0], gainQ + at.column);
        load8(gains[1], gainK + at.column);
    }
    const int64_t warps = int64_t(gridDim.x) * qk_rotary::BLOCK_WARPS;
    for (int64_t r = int64_t(blockIdx.x) * qk_rotary::BLOCK_WARPS + warp(); r < R; r += warps) {
        float turns[8] = {};
        qk_rotary::load_row(turns, table, r, T, D, at);
        for (int first = 0; first < heads; first += qk_rotary::BACKWARD_BATCH * at.heads) {
            uint4 dy[qk_rotary::BACKWARD_BATCH], x[qk_rotary::BACKWARD_BATCH];
            float2 stat[qk_rotary::BACKWARD_BATCH];
            UNROLL
            for (int i = 0; i < qk_rotary::BACKWARD_BATCH; i++) {
                const int h = first + i * at.heads + at.head;
                dy[i] = x[i] = make_uint4(0, 0, 0, 0);
                stat[i] = make_float2(0, 0);
                if (!at.active || h >= heads) continue;
                dy[i] = *reinterpret_cast<const uint4*>(dQk + (r * heads + h) * D + at.column);
                if (gainQ == nullptr) continue;
                x[i] = *reinterpret_cast<const uint4*>(qkv + r * W + h * D + at.column);
                stat[i] = *reinterpret_cast<const float2*>(stats + 2 * (r * heads + h));
            }
            UNROLL
            for (int i = 0; i < qk_rotary::BACKWARD_BATCH; i++) {
                const int h = first + i * at.heads + at.head;
                float g[8];
                unpack8(g, dy[i]);
                if (table != nullptr) qk_rotary::turn<-1>(g, turns);
                if (gainQ != nullptr) {
                    float n[8], sumG = 0, sumGn = 0;
                    unpack8(n, x[i]);
                    for (int k = 0; k < 8; k++) { // a lane without values has g = 0, so it adds nothing
                        n[k] = (n[k] - stat[i].x) * stat[i].y;
                        const float dGain = g[k] * n[k];
                        dGains[0][k] += h < H ? dGain : 0;
                        dGains[1][k] += h < H ? 0 : dGain;
                        g[k] *= h < H ? gains[0][k] : gains[1][k];
                        sumG += g[k];
                        sumGn += g[k] * n[k];
                    }
                    const float meanG = qk_rotary::head_sum(sumG, at.group) / D;
                    const float meanGn = qk_rotary::head_sum(sumGn, at.group) / D;
                    for (int k = 0; k < 8; k++) g[k] = stat[i].y * (g[k] - meanG - n[k] * meanGn);
                }
                if (at.active && h < heads) store8(dQkv + r * W + h * D + at.column, g);
            }
        }
    }
    if (gainQ == nullptr) return;
    const int slot = warp() * at.heads + at.head, slots = qk_rotary::BLOCK_WARPS * at.heads;
    if (at.active) {
        store8(shared + 2 * slot * D + at.column, dGains[0]);
        store8(shared + (2 * slot + 1) * D + at.column, dGains[1]);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * D; i += blockDim.x) {
        float sum = 0;
        for (int s = 0; s < slots; s++) sum += shared[2 * s * D + i];
        partial[2 * int64_t(blockIdx.x) * D + i] = sum;
    }
}
KERNEL(qk_rotary_backward)
