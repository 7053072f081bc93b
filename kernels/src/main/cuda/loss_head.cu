// loss_head.cu: a chunk of logits becomes losses, sums by domain and, in place, gradients, in one pass
//   loss[r] = log sum_{v < V} e^z[r,v] - z[r,target[r]]
//   dz[r,v] = gradientScale weight[r] (e^z[r,v] / sum_{u < V} e^z[r,u] - [v = target[r]]),   0 for v >= V
//   lossSum[domain[r]] += round(2^32 clamp(loss[r])),   tokenCount[domain[r]] += 1
//   excessSum[domain[r]] += round(2^32 clamp(max(clamp(loss[r]) - refLoss[r], 0))), in the kernel with excess
// Shapes     logits (rows,Vp) bf16 row-major; target, domain (rows) i32; weight, tokenLoss, refLoss (rows) f32; lossSum,
//            tokenCount, excessSum (K) i64; flags (2) i64: losses clamped, losses not finite. K is whatever domain[r] stays below.
// Accepts    any rows > 0, 0 < V <= Vp, Vp a multiple of 8; tokenLoss may be null. The launcher checks, the kernel trusts.
// Not finite a loss that is NaN or infinite is counted in flags[1] alone and its row of dz is zero. Logits are scaled by log2(e)
//            in f32, so one beyond 2.3e38 counts as infinite. Over a reference loss that is NaN there is no excess.
// Launch     block any multiple of 32 up to 1024; grid at most rows: blocks that stay, each takes every gridDim-th row; dynamic
//            shared memory SCRATCH_BYTES + 16 heldVectors. heldVectors = Vp / 8 where the row fits, else as many as do, a multiple
//            of the block: V 50,304 is 98 KiB, two blocks an SM of 228 KB (one of 164 KB); of V 128,256 (250 KiB) 224 KiB are held
//            and 26 KiB are read twice, the second time from L2: 132 blocks, one an SM, have 3.6 MB of it, and L2 holds 50.
// Pipeline   a thread touches only its own elements of the row, so there is one barrier a row, that of the reduction. The row
//            arrives in GROUPS groups of cp.async: maximum and sum run over one while the later ones land, and as soon as a thread
//            has written an element's gradient it asks for the same element of its next row.
// Traffic    4 Vp bytes of DRAM a row (2 Vp forward only), 16 to 28 more for the rest
// FLOPs      about 12 V a row and 2 V exponentials: 57 % of the traffic's time at an H200's 16 a clock and SM, 1.755 GHz
// Predicted  H200 at 4.2 TB/s, V 50,304: 48 ns a row; 3.1 ms for 65,536 rows, 0.79 ms for 16,384; half of it forward only
// Exactness  f32, base-2 exponentials; reductions in a fixed order, sums by domain are integers: bitwise repeatable, and the
//            sums are the same for any order of rows and any cut into chunks
// Reference  definition in PlainLossHead and LossSums; online softmax: Milakov and Gimelshein 2018, arXiv:1805.02867
#include "common.cuh"

namespace loss_head {
constexpr int GROUPS = 4;           // a thread's vectors of one row arrive in so many steps
constexpr int REST_VECTORS = 4;     // loads in flight of what shared memory does not hold
constexpr int MAX_WARPS = 32;
constexpr int SCRATCH_BYTES = 1024; // before the row, in dynamic shared memory
constexpr double FIXED_POINT = 4294967296.0;
// In place of minus infinity, so that a thread whose logits are all minus infinity adds 0 and not NaN.
constexpr float LOWEST = -3.0e38f;

// Of some of a row's logits: max2 = log2(e) max z, sum of 2^(log2(e) z - max2).
struct Softmax {
    float max2, sum;
};

// Two of each: a fast thread may be one row ahead of the slowest, not two, with one barrier a row.
struct Scratch {
    Softmax warps[2][MAX_WARPS];
    float targetLogit[2];
};
static_assert(sizeof(Scratch) <= SCRATCH_BYTES, "the row starts behind it");

// One row: `logits` in global memory, its first `heldVectors` vectors of 8 logits in shared memory.
struct Row {
    uint4* logits;
    uint4* held;
    int32_t vectors, heldVectors, groupVectors, V;
};

struct Gradient {
    float max2, factor; // dz = factor 2^(log2(e) z - max2), less the row's scale at its target
    bool finite;
};

DEVICE void unpack(float (&z)[8], uint4 packed, int32_t vector, int32_t V) {
    unpack8(z, packed);
    if (8 * vector + 8 > V)
        for (int j = 0; j < 8; j++)
            if (8 * vector + j >= V) z[j] = __uint_as_float(0xff800000u); // minus infinity: padding has no probability
}

DEVICE void add(Softmax& s, uint4 packed, int32_t vector, int32_t V) {
    float z[8];
    unpack(z, packed, vector, V);
    const float max =
        fmaxf(fmaxf(fmaxf(z[0], z[1]), fmaxf(z[2], z[3])), fmaxf(fmaxf(z[4], z[5]), fmaxf(z[6], z[7]))); // passes over NaN
    if (max * LOG2_E > s.max2) {
        s.sum *= fast_exp2(s.max2 - max * LOG2_E);
        s.max2 = max * LOG2_E;
    }
    for (int j = 0; j < 8; j++) z[j] = fast_exp2(fmaf(z[j], LOG2_E, -s.max2));
    s.sum += ((z[0] + z[1]) + (z[2] + z[3])) + ((z[4] + z[5]) + (z[6] + z[7]));
}

// Of the whole warp, the same in every lane.
DEVICE Softmax merge_warp(Softmax s) {
    const float max2 = warp_max(s.max2);
    return {max2, warp_sum(s.sum * fast_exp2(s.max2 - max2))};
}

DEVICE int32_t group_end(const Row& row, int group) { return min(row.heldVectors, (group + 1) * row.groupVectors); }

template <int GROUP>
DEVICE void fetch_group(const Row& row) {
    for (int32_t i = GROUP * row.groupVectors + threadIdx.x; i < group_end(row, GROUP); i += blockDim.x)
        cp_async_16(row.held + i, row.logits + i);
    cp_async_commit();
}

template <int GROUP>
DEVICE void add_group(Softmax& s, const Row& row) {
    cp_async_wait<GROUPS - 1 - GROUP>();
    for (int32_t i = GROUP * row.groupVectors + threadIdx.x; i < group_end(row, GROUP); i += blockDim.x)
        add(s, row.held[i], i, row.V);
}

DEVICE void add_rest(Softmax& s, const Row& row) {
    for (int32_t first = row.heldVectors + threadIdx.x; first < row.vectors; first += REST_VECTORS * blockDim.x) {
        uint4 packed[REST_VECTORS];
        for (int u = 0; u < REST_VECTORS; u++)
            if (first + u * int32_t(blockDim.x) < row.vectors) packed[u] = row.logits[first + u * int32_t(blockDim.x)];
        for (int u = 0; u < REST_VECTORS; u++)
            if (first + u * int32_t(blockDim.x) < row.vectors) add(s, packed[u], first + u * int32_t(blockDim.x), row.V);
    }
}

DEVICE float gradient(float z, const Gradient& by) { return by.factor * fast_exp2(fmaf(z, LOG2_E, -by.max2)); }
DEVICE uint4 gradient(uint4 packed, int32_t vector, int32_t V, const Gradient& by) {
    if (!by.finite) return make_uint4(0, 0, 0, 0);
    float z[8];
    unpack(z, packed, vector, V);
    for (int j = 0; j < 8; j++) z[j] = gradient(z[j], by);
    return pack8(z);
}

// The group's gradients; each place of shared memory that this frees takes what `next` has there. No group without a commit:
// the waits count them.
template <int GROUP, bool GRADIENT>
DEVICE void spend_group(const Row& row, const Gradient& by, const uint4* next) {
    for (int32_t i = GROUP * row.groupVectors + threadIdx.x; i < group_end(row, GROUP); i += blockDim.x) {
        if (GRADIENT) row.logits[i] = gradient(row.held[i], i, row.V, by);
        if (next != nullptr) cp_async_16(row.held + i, next + i);
    }
    cp_async_commit();
}

DEVICE void spend_rest(const Row& row, const Gradient& by) {
    for (int32_t first = row.heldVectors + threadIdx.x; first < row.vectors; first += REST_VECTORS * blockDim.x) {
        uint4 packed[REST_VECTORS];
        for (int u = 0; u < REST_VECTORS; u++)
            if (first + u * int32_t(blockDim.x) < row.vectors) packed[u] = row.logits[first + u * int32_t(blockDim.x)];
        for (int u = 0; u < REST_VECTORS; u++) {
            const int32_t i = first + u * int32_t(blockDim.x);
            if (i < row.vectors) row.logits[i] = gradient(packed[u], i, row.V, by);
        }
    }
}

// What the loss is above the reference's; nothing where add_to_domain adds no loss.
DEVICE void add_excess(int64_t* excessSum_K, int32_t domain, float loss, float refLoss, double clampNats) {
    if (!isfinite(loss)) return;
    const double above = fmin(fmax(double(loss), -clampNats), clampNats) - refLoss;
    if (above > 0) atomic_add(excessSum_K + domain, __double2ll_rn(fmin(above, clampNats) * FIXED_POINT));
}

DEVICE void add_to_domain(
    int64_t* lossSum_K, int64_t* tokenCount_K, int64_t* flags_2, int32_t domain, float loss, double clampNats) {
    if (!isfinite(loss)) {
        atomic_add(flags_2 + 1, 1);
        return;
    }
    const double nats = loss, clamped = fmin(fmax(nats, -clampNats), clampNats);
    if (clamped != nats) atomic_add(flags_2, 1);
    atomic_add(lossSum_K + domain, __double2ll_rn(clamped * FIXED_POINT));
    atomic_add(tokenCount_K + domain, 1);
}

template <bool GRADIENT, bool SUMS, bool EXCESS>
DEVICE void rows_of_block(
    unsigned char* shared,
    bf16* logits,
    float* tokenLoss,
    int64_t* lossSum_K,
    int64_t* tokenCount_K,
    int64_t* flags_2,
    int64_t* excessSum_K,
    const int32_t* target_R,
    const int32_t* domain_R,
    const float* weight_R,
    const float* refLoss_R,
    int64_t rows,
    int32_t V,
    int32_t vectors,
    int32_t heldVectors,
    float gradientScale,
    double clampNats) {
    Scratch& scratch = *reinterpret_cast<Scratch*>(shared);
    const int32_t threads = blockDim.x, rounds = (heldVectors + threads - 1) / threads;
    Row row = {
        reinterpret_cast<uint4*>(logits) + int64_t(blockIdx.x) * vectors,
        reinterpret_cast<uint4*>(shared + SCRATCH_BYTES),
        vectors,
        heldVectors,
        (rounds + GROUPS - 1) / GROUPS * threads,
        V};
    fetch_group<0>(row), fetch_group<1>(row), fetch_group<2>(row), fetch_group<3>(row);
    int buffer = 0;
    for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
        const int32_t target = target_R[r];
        const float scale = GRADIENT ? gradientScale * weight_R[r] : 0;
        const int32_t domain = SUMS && threadIdx.x == 0 ? domain_R[r] : 0; // long before it is needed
        const float refLoss = EXCESS && threadIdx.x == 0 ? refLoss_R[r] : 0;
        Softmax s = {LOWEST, 0};
        add_group<0>(s, row), add_group<1>(s, row), add_group<2>(s, row), add_group<3>(s, row);
        add_rest(s, row);

        s = merge_warp(s);
        if (lane() == 0) scratch.warps[buffer][warp()] = s;
        const bool ownsTarget = target / 8 % threads == int32_t(threadIdx.x); // no other thread may have seen it arrive
        if (ownsTarget) {
            const uint4* from = target / 8 < heldVectors ? row.held : row.logits;
            scratch.targetLogit[buffer] = to_float(reinterpret_cast<const bf16*>(from)[target]);
        }
        __syncthreads();
        s = lane() < threads / WARP ? scratch.warps[buffer][lane()] : Softmax{LOWEST, 0};
        s = merge_warp(s);
        const float targetLogit = scratch.targetLogit[buffer];
        const float loss = LN_2 * (fmaf(-targetLogit, LOG2_E, s.max2) + log2f(s.sum));
        const Gradient by = {s.max2, scale / s.sum, bool(isfinite(loss))};
        uint4* after = row.logits + int64_t(gridDim.x) * vectors;
        const uint4* next = r + gridDim.x < rows ? after : nullptr;
        spend_group<0, GRADIENT>(row, by, next), spend_group<1, GRADIENT>(row, by, next);
        spend_group<2, GRADIENT>(row, by, next), spend_group<3, GRADIENT>(row, by, next);
        if (GRADIENT) spend_rest(row, by);
        if (GRADIENT && ownsTarget && by.finite) // over what it wrote there with its neighbours
            reinterpret_cast<bf16*>(row.logits)[target] = to_bf16(gradient(targetLogit, by) - scale);
        if (threadIdx.x == 0) { // when the next row is on its way
            if (tokenLoss != nullptr) tokenLoss[r] = loss;
            if (SUMS) add_to_domain(lossSum_K, tokenCount_K, flags_2, domain, loss, clampNats);
            if (EXCESS) add_excess(excessSum_K, domain, loss, refLoss, clampNats);
        }
        row.logits = after;
        buffer ^= 1;
    }
}
} // namespace loss_head

extern "C" __global__ void __launch_bounds__(1024) loss_head_forward(
    bf16* logits,
    float* tokenLoss,
    int64_t* lossSum_K,
    int64_t* tokenCount_K,
    int64_t* flags_2,
    const int32_t* target_R,
    const int32_t* domain_R,
    int64_t rows,
    int32_t V,
    int32_t vectors,
    int32_t heldVectors,
    double clampNats) {
    DYNAMIC_SHARED(unsigned char, shared);
    loss_head::rows_of_block<false, true, false>(
        shared, logits, tokenLoss, lossSum_K, tokenCount_K, flags_2, nullptr, target_R, domain_R, nullptr, nullptr, rows, V,
        vectors, heldVectors, 0, clampNats);
}
KERNEL(loss_head_forward)

extern "C" __global__ void __launch_bounds__(1024) loss_head_backward(
    bf16* logits,
    float* tokenLoss,
    int64_t* lossSum_K,
    int64_t* tokenCount_K,
    int64_t* flags_2,
    const int32_t* target_R,
    const int32_t* domain_R,
    const float* weight_R,
    int64_t rows,
    int32_t V,
    int32_t vectors,
    int32_t heldVectors,
    float gradientScale,
    double clampNats) {
    DYNAMIC_SHARED(unsigned char, shared);
    loss_head::rows_of_block<true, true, false>(
        shared, logits, tokenLoss, lossSum_K, tokenCount_K, flags_2, nullptr, target_R, domain_R, weight_R, nullptr, rows, V,
        vectors, heldVectors, gradientScale, clampNats);
}
KERNEL(loss_head_backward)

// The same with reference losses; a kernel of its own, so that who has none does not pay.
extern "C" __global__ void __launch_bounds__(1024) loss_head_backward_with_excess(
    bf16* logits,
    int64_t* lossSum_K,
    int64_t* tokenCount_K,
    int64_t* flags_2,
    int64_t* excessSum_K,
    const int32_t* target_R,
    const int32_t* domain_R,
    const float* weight_R,
    const float* refLoss_R,
    int64_t rows,
    int32_t V,
    int32_t vectors,
    int32_t heldVectors,
    float gradientScale,
    double clampNats) {
    DYNAMIC_SHARED(unsigned char, shared);
    loss_head::rows_of_block<true, true, true>(
        shared, logits, nullptr, lossSum_K, tokenCount_K, flags_2, excessSum_K, target_R, domain_R, weight_R, refLoss_R, rows, V,
        vectors, heldVectors, gradientScale, clampNats);
}
KERNEL(loss_head_backward_with_excess)

// The same without the sums: what they cost is measured against it.
extern "C" __global__ void __launch_bounds__(1024) loss_head_backward_without_sums(
    bf16* logits,
    float* tokenLoss,
    const int32_t* target_R,
    const float* weight_R,
    int64_t rows,
    int32_t V,
    int32_t vectors,
    int32_t heldVectors,
    float gradientScale) {
    DYNAMIC_SHARED(unsigned char, shared);
    loss_head::rows_of_block<true, false, false>(
        shared, logits, tokenLoss, nullptr, nullptr, nullptr, nullptr, target_R, nullptr, weight_R, nullptr, rows, V, vectors,
        heldVectors, gradientScale, 0);
}
KERNEL(loss_head_backward_without_sums)
