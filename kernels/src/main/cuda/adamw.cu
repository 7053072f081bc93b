// adamw.cu: global norm, the step's decisions, and AdamW over one flat buffer with the weights' bf16 copy
//   norm = sqrt(sum_n g^2),  apply = norm is a finite f32 and flags[1] = 0,  clip = clipNorm / norm where 0 < clipNorm < norm, else 1
//   m = beta1 m + (1 - beta1) clip g,   v = beta2 v + (1 - beta2) (clip g)^2
//   p -= rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay p),   copy = bf16(p), ties to even
// Shapes     p, g, m, v (N) f32; copy (N) bf16; partials f64; counters (2) i64: applied (the t above), skipped; flags (2) i64
// Accepts    N a multiple of 4 (a layout pads to 16), N < 2^33; 16-byte aligned. The launcher checks, the kernels trust.
// Launch     adamw_squares: block THREADS, grid one block a partial, at most 1024 of them whatever the device;
//            adamw_decide: one block of THREADS; adamw_update: block THREADS, grid ceil(N / 4 / (THREADS UPDATE_VECTORS))
// Skip       a step that is not applied leaves every bit of p, m, v and copy as it was; nothing is asked of the host
// Traffic    4 N bytes for the norm; 30 N for the update (reads 16, writes 12 and 2 for the copy)
// FLOPs      about 25 N with a division and a square root: bandwidth bound, judged in GB/s against a measured device copy
// Predicted  H200 at 4.2 TB/s: 124M parameters 0.12 + 0.89 ms a step, 1.3B 1.25 + 9.4 ms
// Exactness  squares in f32, 16 at a time, then f64 in a fixed order that N alone decides: bitwise repeatable
// Reference  Loshchilov and Hutter 2019, arXiv:1711.05101; definition in PlainAdamW and AdamWControl
#include "common.cuh"

namespace adamw {
constexpr int THREADS = 256;
constexpr int NORM_VECTORS = 4;   // independent loads of 16 bytes a thread
constexpr int UPDATE_VECTORS = 2; // of each of p, g, m and v

// What adamw_update needs of a step; 8 floats are set aside for it.
struct Decision {
    float apply, clip, rate1, scale2, decay; // rate / (1 - beta1^t), 1 / sqrt(1 - beta2^t), rate * weightDecay
};

// Sum over the block, in every thread; called once a kernel.
DEVICE double block_sum(double x, double* scratch) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    if (lane() == 0) scratch[warp()] = x;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < THREADS / WARP; i++) sum += scratch[i];
    return sum;
}

DEVICE float squares(float4 x) { return (x.x * x.x + x.y * x.y) + (x.z * x.z + x.w * x.w); }
DEVICE double squares_in_doubles(float4 x) {
    return (double(x.x) * x.x + double(x.y) * x.y) + (double(x.z) * x.z + double(x.w) * x.w);
}

DEVICE float moved(float p, float g, float& m, float& v, const Decision& by, float beta1, float beta2, float epsilon) {
    const float slope = g * by.clip;
    m = beta1 * m + (1 - beta1) * slope;
    v = beta2 * v + (1 - beta2) * (slope * slope);
    // One rounding for the decay: 1 - decay as a float would lose most of its digits.
    return fmaf(-by.decay, p, p) - m * by.rate1 / (sqrtf(v) * by.scale2 + epsilon);
}
} // namespace adamw

extern "C" __global__ void __launch_bounds__(adamw::THREADS)
    adamw_squares(double* partial, const float* g_N, int64_t vectors) {
    using namespace adamw;
    __shared__ double scratch[THREADS / WARP];
    const float4* g = reinterpret_cast<const float4*>(g_N);
    double sum = 0;
    const int64_t stride = int64_t(gridDim.x) * THREADS * NORM_VECTORS;
    for (int64_t first = int64_t(blockIdx.x) * THREADS * NORM_VECTORS + threadIdx.x; first < vectors; first += stride) {
        float4 x[NORM_VECTORS];
        for (int u = 0; u < NORM_VECTORS; u++)
            x[u] = first + u * THREADS < vectors ? g[first + u * THREADS] : make_float4(0, 0, 0, 0);
        const float few = (squares(x[0]) + squares(x[1])) + (squares(x[2]) + squares(x[3]));
        if (isfinite(few)) {
            sum += few;
        } else { // as the definition does: squares beyond f32 have a root within
            for (int u = 0; u < NORM_VECTORS; u++) sum += squares_in_doubles(x[u]);
        }
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}
KERNEL(adamw_squares)

extern "C" __global__ void __launch_bounds__(adamw::THREADS) adamw_decide(
    adamw::Decision* decision,
    float* gradNorm,
    int64_t* counters_2,
    const double* partial,
    int32_t partials,
    const int64_t* flags_2,
    const float* learningRate,
    float beta1,
    float beta2,
    float weightDecay,
    float clipNorm) {
    using namespace adamw;
    __shared__ double scratch[THREADS / WARP];
    double sum = 0;
    for (int i = threadIdx.x; i < partials; i += THREADS) sum += partial[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x != 0) return;
    const double norm = sqrt(sum);
    *gradNorm = float(norm);
    const bool apply = isfinite(float(norm)) && flags_2[1] == 0;
    decision->apply = apply ? 1 : 0;
    if (!apply) {
        counters_2[1]++;
        return;
    }
    const double t = double(++counters_2[0]), rate = *learningRate;
    decision->clip = clipNorm > 0 && norm > clipNorm ? float(clipNorm / norm) : 1;
    decision->rate1 = float(rate / (1 - pow(double(beta1), t)));
    decision->scale2 = float(1 / sqrt(1 - pow(double(beta2), t)));
    decision->decay = float(rate * weightDecay);
}
KERNEL(adamw_decide)

extern "C" __global__ void __launch_bounds__(adamw::THREADS) adamw_update(
    float* p_N,
    bf16* copy_N,
    const float* g_N,
    float* m_N,
    float* v_N,
    const adamw::Decision* decision,
    int64_t vectors,
    float beta1,
    float beta2,
    float epsilon) {
    using namespace adamw;
    const Decision by = *decision;
    if (by.apply == 0) return;
    const int64_t start = int64_t(blockIdx.x) * THREADS * UPDATE_VECTORS + threadIdx.x;
    float4 p[UPDATE_VECTORS], g[UPDATE_VECTORS], m[UPDATE_VECTORS], v[UPDATE_VECTORS];
    for (int u = 0; u < UPDATE_VECTORS; u++) {
        const int64_t i = start + u * THREADS;
        if (i >= vectors) break;
        p[u] = reinterpret_cast<const float4*>(p_N)[i];
        g[u] = reinterpret_cast<const float4*>(g_N)[i];
        m[u] = reinterpret_cast<const float4*>(m_N)[i];
        v[u] = reinterpret_cast<const float4*>(v_N)[i];
    }
    for (int u = 0; u < UPDATE_VECTORS; u++) {
        const int64_t i = start + u * THREADS;
        if (i >= vectors) break;
        p[u].x = moved(p[u].x, g[u].x, m[u].x, v[u].x, by, beta1, beta2, epsilon);
        p[u].y = moved(p[u].y, g[u].y, m[u].y, v[u].y, by, beta1, beta2, epsilon);
        p[u].z = moved(p[u].z, g[u].z, m[u].z, v[u].z, by, beta1, beta2, epsilon);
        p[u].w = moved(p[u].w, g[u].w, m[u].w, v[u].w, by, beta1, beta2, epsilon);
        reinterpret_cast<float4*>(p_N)[i] = p[u];
        reinterpret_cast<float4*>(m_N)[i] = m[u];
        reinterpret_cast<float4*>(v_N)[i] = v[u];
        reinterpret_cast<uint2*>(copy_N)[i] = make_uint2(pack_bf16(p[u].x, p[u].y), pack_bf16(p[u].z, p[u].w));
    }
}
KERNEL(adamw_update)
