// qk_rotary.cu: each query and key head of a row: n = (x - mean) rdev over the head's D values, y = n gain (both left out without
//            gains), then pair i of y, (y[2i], y[2i+1]), turned by the angle t base^(-2i/D) of its position t = r mod T
// Shapes     qkv, dQkv (R,W) bf16: H query heads, G key heads, G value heads of D; qk, dQk (R,(H+G)D) bf16; stats (R,H+G,2) f32:
//            mean, rdev; gainQ, gainK (D) f32 or null; turns (T,D/2,2) f32: cos, sin, or null; partial (gridDim.x,2,D) f32: dGainQ, dGainK
// Accepts    any R, T, H, G > 0; D a multiple of 8 up to 256. Tensors start on 16 bytes. The launcher checks, the kernel trusts.
// Launch     256 threads; a warp owns a row: as many heads side by side as fit its lanes, 8 values a lane. forward: grid
//            ceil(R / 8). backward: any grid, warps stride over rows; elements_add_rows then adds the partials to the gains' gradients.
// Traffic    forward 4 R (H+G) D, backward 6 R (H+G) D (4 without gains) bytes, and 8 R (H+G) of stats; turns come from L2
// FLOPs      about 12 an element: bandwidth bound. H200 at 4.2 TB/s, predicted, ado-124m (R (H+G) D = 101 M) and ado-1.3b (67 M):
//            forward 99 and 65 us, backward 147 and 97 us. Close to what can be issued in that time (docs/gpu-budget.md), so what depends on
//            the number of lanes of a head is compiled for each
// Exactness  f32 sums in fixed order: bitwise repeatable. Turns are a table made in doubles: at t = 8192 a f32 angle would be off by
//            2^-12, and sinf takes its slow path for large arguments.
// Reference  Henry et al. 2020, arXiv:2010.04245; Su et al. 2021, arXiv:2104.09864; definition in PlainQkRotary
#include "common.cuh"

namespace qk_rotary {
constexpr int BLOCK_WARPS = 8;
constexpr int FORWARD_BATCH = 4, BACKWARD_BATCH = 2; // independent loads under way in a lane

// Lanes of a warp: GROUP of them (a power of two) for a head, of which D / 8 hold values; HEADS heads side by side.
template <int GROUP>
struct Place {
    static constexpr int HEADS = WARP / GROUP;
    int head, column;
    bool active;
};
template <int GROUP>
DEVICE Place<GROUP> place_of(int D) {
    const int column = lane() % GROUP * 8;
    return {lane() / GROUP, column, column < D};
}

template <int GROUP>
DEVICE float head_sum(float x) {
    UNROLL
    for (int offset = GROUP / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
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

// Heads [head, end) of a row, queries or keys, whose gain is null for none and whose turns are null for none.
template <int GROUP>
DEVICE void forward_heads(bf16* qk, float* stats, const bf16* qkv, const float* gain, const float* turns, int head, int end, int D, float eps) {
    const Place<GROUP> at = place_of<GROUP>(D);
    constexpr int HEADS = Place<GROUP>::HEADS;
    const float perD = 1.0f / float(D);
    float gains[8], turn_[8] = {};
    if (gain != nullptr && at.active) load8(gains, gain + at.column);
    if (turns != nullptr && at.active) load8(turn_, turns + at.column);
    for (; head < end; head += FORWARD_BATCH * HEADS) {
        uint4 packed[FORWARD_BATCH];
        UNROLL
        for (int i = 0; i < FORWARD_BATCH; i++) {
            const int h = head + i * HEADS + at.head;
            packed[i] = make_uint4(0, 0, 0, 0);
            if (at.active && h < end) packed[i] = *reinterpret_cast<const uint4*>(qkv + h * D + at.column);
        }
        UNROLL
        for (int i = 0; i < FORWARD_BATCH; i++) {
            if (head + i * HEADS >= end) break; // for all lanes
            const int h = head + i * HEADS + at.head;
            float x[8];
            unpack8(x, packed[i]);
            if (gain != nullptr) {
                float sum = 0, squares = 0;
                for (int k = 0; k < 8; k++) sum += x[k]; // lanes without values hold zeros
                const float mean = head_sum<GROUP>(sum) * perD;
                for (int k = 0; k < 8; k++) x[k] -= mean;
                if (at.active)
                    for (int k = 0; k < 8; k++) squares += x[k] * x[k];
                const float rdev = rsqrtf(head_sum<GROUP>(squares) * perD + eps);
                for (int k = 0; k < 8; k++) x[k] *= rdev * gains[k];
                if (at.column == 0 && h < end) *reinterpret_cast<float2*>(stats + 2 * h) = make_float2(mean, rdev);
            }
            if (turns != nullptr) turn<1>(x, turn_);
            if (at.active && h < end) store8(qk + h * D + at.column, x);
        }
    }
}

template <int GROUP>
DEVICE void forward(bf16* qk, float* stats, const bf16* qkv, const float* gainQ, const float* gainK, const float* table, int64_t r, int T,
                    int H, int heads, int D, int W, float eps) {
    const float* turns = table == nullptr ? nullptr : table + r % T * D;
    bf16* to = qk + r * heads * D;
    forward_heads<GROUP>(to, stats + 2 * r * heads, qkv + r * W, gainQ, turns, 0, H, D, eps);
    forward_heads<GROUP>(to, stats + 2 * r * heads, qkv + r * W, gainK, turns, H, heads, D, eps);
}

// Heads [head, end) of a row, as forward_heads; adds to the gain's gradient.
template <int GROUP>
DEVICE void backward_heads(bf16* dQkv, float (&dGains)[8], const bf16* dQk, const bf16* qkv, const float* stats, const float (&gains)[8],
                           bool normed, const float (&turns)[8], bool turned, int head, int end, const Place<GROUP>& at, int D) {
    constexpr int HEADS = Place<GROUP>::HEADS;
    const float perD = 1.0f / float(D);
    for (; head < end; head += BACKWARD_BATCH * HEADS) {
        uint4 dy[BACKWARD_BATCH], x[BACKWARD_BATCH];
        float2 stat[BACKWARD_BATCH];
        UNROLL
        for (int i = 0; i < BACKWARD_BATCH; i++) {
            const int h = head + i * HEADS + at.head;
            dy[i] = x[i] = make_uint4(0, 0, 0, 0);
            stat[i] = make_float2(0, 0);
            if (!at.active || h >= end) continue;
            dy[i] = *reinterpret_cast<const uint4*>(dQk + h * D + at.column);
            if (!normed) continue;
            x[i] = *reinterpret_cast<const uint4*>(qkv + h * D + at.column);
            stat[i] = *reinterpret_cast<const float2*>(stats + 2 * h);
        }
        UNROLL
        for (int i = 0; i < BACKWARD_BATCH; i++) {
            if (head + i * HEADS >= end) break; // for all lanes
            const int h = head + i * HEADS + at.head;
            float g[8];
            unpack8(g, dy[i]);
            if (turned) turn<-1>(g, turns);
            if (normed) {
                float n[8], sumG = 0, sumGn = 0;
                unpack8(n, x[i]);
                for (int k = 0; k < 8; k++) { // a lane without values has g = 0, so it adds nothing
                    n[k] = (n[k] - stat[i].x) * stat[i].y;
                    dGains[k] += g[k] * n[k];
                    g[k] *= gains[k];
                    sumG += g[k];
                    sumGn += g[k] * n[k];
                }
                const float meanG = head_sum<GROUP>(sumG) * perD, meanGn = head_sum<GROUP>(sumGn) * perD;
                for (int k = 0; k < 8; k++) g[k] = stat[i].y * (g[k] - meanG - n[k] * meanGn);
            }
            if (at.active && h < end) store8(dQkv + h * D + at.column, g);
        }
    }
}

template <int GROUP>
DEVICE void backward(bf16* dQkv, float* partial, float* shared, const bf16* dQk, const bf16* qkv, const float* stats, const float* gainQ,
                     const float* gainK, const float* table, int64_t R, int T, int H, int heads, int D, int W) {
    const Place<GROUP> at = place_of<GROUP>(D);
    const bool normed = gainQ != nullptr;
    float gains[2][8] = {}, dGains[2][8] = {};
    if (normed && at.active) {
        load8(gains[0], gainQ + at.column);
        load8(gains[1], gainK + at.column);
    }
    const int64_t warps = int64_t(gridDim.x) * BLOCK_WARPS;
    for (int64_t r = int64_t(blockIdx.x) * BLOCK_WARPS + warp(); r < R; r += warps) {
        float turns[8] = {};
        if (table != nullptr && at.active) load8(turns, table + r % T * D + at.column);
        const bf16 *dy = dQk + r * heads * D, *x = qkv + r * W;
        const float* stat = stats + 2 * r * heads;
        backward_heads(dQkv + r * W, dGains[0], dy, x, stat, gains[0], normed, turns, table != nullptr, 0, H, at, D);
        backward_heads(dQkv + r * W, dGains[1], dy, x, stat, gains[1], normed, turns, table != nullptr, H, heads, at, D);
    }
    if (!normed) return;
    const int slot = warp() * Place<GROUP>::HEADS + at.head, slots = BLOCK_WARPS * Place<GROUP>::HEADS;
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
} // namespace qk_rotary

// CALL for the GROUP, known to the compiler, that a head of D takes.
#define QK_ROTARY(D, CALL)                        \
    do {                                          \
        if (D > 128) qk_rotary::CALL(32);         \
        else if (D > 64) qk_rotary::CALL(16);     \
        else if (D > 32) qk_rotary::CALL(8);      \
        else if (D > 16) qk_rotary::CALL(4);      \
        else if (D > 8) qk_rotary::CALL(2);       \
        else qk_rotary::CALL(1);                  \
    } while (false)

extern "C" __global__ void __launch_bounds__(256) qk_rotary_forward(
    bf16* qk, float* stats, const bf16* qkv, const float* gainQ, const float* gainK, const float* table, int64_t R, int32_t T,
    int32_t H, int32_t heads, int32_t D, int32_t W, float eps) {
    const int64_t r = int64_t(blockIdx.x) * qk_rotary::BLOCK_WARPS + warp();
    if (r >= R) return; // whole warps leave together
#define FORWARD(GROUP) forward<GROUP>(qk, stats, qkv, gainQ, gainK, table, r, T, H, heads, D, W, eps)
    QK_ROTARY(D, FORWARD);
#undef FORWARD
}
KERNEL(qk_rotary_forward)

extern "C" __global__ void __launch_bounds__(256) qk_rotary_backward(
    bf16* dQkv, float* partial, const bf16* dQk, const bf16* qkv, const float* stats, const float* gainQ, const float* gainK,
    const float* table, int64_t R, int32_t T, int32_t H, int32_t heads, int32_t D, int32_t W) {
    __shared__ __align__(16) float shared[qk_rotary::BLOCK_WARPS * WARP * 16];
#define BACKWARD(GROUP) backward<GROUP>(dQkv, partial, shared, dQk, qkv, stats, gainQ, gainK, table, R, T, H, heads, D, W)
    QK_ROTARY(D, BACKWARD);
#undef BACKWARD
}
KERNEL(qk_rotary_backward)
