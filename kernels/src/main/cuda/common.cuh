// common.cuh: what the kernels share: bf16, warp and block reductions, tensor-core products, asynchronous copies.
// The same file compiles for the GPU (nvcc, NVRTC: no header of the toolkit is needed) and for the simulator (g++).
// Rules of our kernels, which the simulator enforces: blocks are multiples of 32 threads; warp collectives are called by all
// 32 lanes, so whole warps leave together; every kernel is followed by KERNEL(name); helpers live in a namespace of the file.
#pragma once
#ifdef RHEOSTAT_SIM
#include "cuda_sim.h"
#define UNROLL
#define UNROLL_BY(n)
#else
#ifdef __CUDACC_RTC__
using int64_t = long long;
using int32_t = int;
using uint64_t = unsigned long long;
using uint32_t = unsigned;
using uint16_t = unsigned short;
using uint8_t = unsigned char;
#else
#include <stdint.h>
#endif
#define DEVICE __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define KERNEL(name)
#define UNROLL _Pragma("unroll")
#define UNROLL_BY(n) UNROLL_PRAGMA(unroll n)
#define UNROLL_PRAGMA(text) _Pragma(#text)
#define DYNAMIC_SHARED(type, name)                                                                                            \
    extern __shared__ __align__(1024) unsigned char dynamic_shared_[];                                                        \
    type* name = reinterpret_cast<type*>(dynamic_shared_)
#endif

constexpr int WARP = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

DEVICE int lane() { return threadIdx.x % WARP; } // blocks are (32 n, ...): x runs through the lanes
DEVICE int warp() { return (threadIdx.y * blockDim.x + threadIdx.x) / WARP; }

// ---- bf16: 8 bits of exponent, 7 of mantissa; the upper half of a float --------------------------------------------------
struct alignas(2) bf16 {
    uint16_t bits;
};
DEVICE float to_float(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }

// Two floats to the nearest bf16, ties to even; `low` in the lower half. A NaN stays one.
DEVICE uint32_t pack_bf16(float low, float high) {
#ifdef RHEOSTAT_SIM
    auto round = [](float x) -> uint32_t {
        const uint32_t bits = __float_as_uint(x);
        return x != x ? 0x7fffu : (bits + (bits >> 16 & 1) + 0x7fffu) >> 16;
    };
    return round(low) | round(high) << 16;
#else
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
#endif
}
DEVICE float low_float(uint32_t packed) { return __uint_as_float(packed << 16); }
DEVICE float high_float(uint32_t packed) { return __uint_as_float(packed & 0xffff0000u); }
DEVICE bf16 to_bf16(float x) { return bf16{uint16_t(pack_bf16(x, 0) & 0xffffu)}; }

// Eight values at once; p is 16-byte aligned.
DEVICE void unpack8(float (&x)[8], uint4 packed) {
    x[0] = low_float(packed.x), x[1] = high_float(packed.x);
    x[2] = low_float(packed.y), x[3] = high_float(packed.y);
    x[4] = low_float(packed.z), x[5] = high_float(packed.z);
    x[6] = low_float(packed.w), x[7] = high_float(packed.w);
}
DEVICE uint4 pack8(const float (&x)[8]) {
    return make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
}
DEVICE void load8(float (&x)[8], const bf16* p) { unpack8(x, *reinterpret_cast<const uint4*>(p)); }
// 16 bytes to global memory by one instruction: nvcc 13.0 cuts some plain stores of a uint4 into four, each of as many sectors.
DEVICE void store_16(bf16* p, uint4 x) {
#ifdef RHEOSTAT_SIM
    *reinterpret_cast<uint4*>(p) = x;
#else
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w)
                 : "memory");
#endif
}
DEVICE void store8(bf16* p, const float (&x)[8]) { store_16(p, pack8(x)); }
DEVICE void load8(float (&x)[8], const float* p) {
    const float4 a = reinterpret_cast<const float4*>(p)[0], b = reinterpret_cast<const float4*>(p)[1];
    x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w, x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}

DEVICE void store8(float* p, const float (&x)[8]) {
    reinterpret_cast<float4*>(p)[0] = make_float4(x[0], x[1], x[2], x[3]);
    reinterpret_cast<float4*>(p)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

// ---- reductions, in a fixed order ----------------------------------------------------------------------------------------
DEVICE float warp_sum(float x) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}
DEVICE float warp_max(float x) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}
// Sum over a block of WARPS warps, the same in every thread. scratch: WARPS floats of shared memory; barriers before and after
// their use are taken here, so the same scratch serves the next call.
template <int WARPS>
DEVICE float block_sum(float x, float* scratch) {
    x = warp_sum(x);
    __syncthreads();
    if (lane() == 0) scratch[warp()] = x;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < WARPS; i++) sum += scratch[i];
    return sum;
}

// ---- numbers ---------------------------------------------------------------------------------------------------------------
DEVICE float fast_exp2(float x) { // ex2.approx: 2 units in the last place
#ifdef RHEOSTAT_SIM
    return std::exp2(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}
DEVICE float fast_exp(float x) { return fast_exp2(x * LOG2_E); }
DEVICE float fast_log2(float x) { // lg2.approx: absolute error 2^-22 around 1, else 2 units in the last place
#ifdef RHEOSTAT_SIM
    return std::log2(x);
#else
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}
DEVICE void atomic_add(int64_t* p, int64_t value) {
    atomicAdd(reinterpret_cast<unsigned long long*>(p), (unsigned long long)(value));
}
// A store that the host sees after all that this thread has stored before.
DEVICE void store_release_system(int64_t* p, int64_t value) {
#ifdef RHEOSTAT_SIM
    sim_store_release(p, value);
#else
    asm volatile("st.release.sys.global.b64 [%0], %1;" ::"l"(p), "l"(value) : "memory");
#endif
}

// ---- asynchronous copies of 16 bytes from global to shared memory; zeros where !valid ------------------------------------
DEVICE void cp_async_16(void* shared, const void* global, bool valid = true) {
#ifdef RHEOSTAT_SIM
    sim_cp_async(shared, global, 16, valid ? 16 : 0);
#else
    const uint32_t address = uint32_t(__cvta_generic_to_shared(shared));
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes) : "memory");
#endif
}
DEVICE void cp_async_commit() {
#ifdef RHEOSTAT_SIM
    sim_cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Until at most PENDING of this thread's groups are under way. Other threads see the bytes after a barrier.
template <int PENDING>
DEVICE void cp_async_wait() {
#ifdef RHEOSTAT_SIM
    sim_cp_async_wait(PENDING);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// ---- tensor cores --------------------------------------------------------------------------------------------------------------
// d (16x8, f32) += a (16x16, bf16, row) b (16x8, bf16, column); PTX ISA, "mma.m16n8k16". With g = lane / 4, q = lane % 4:
//   a[0] = A[g][2q, 2q+1]   a[1] = A[g+8][2q..]   a[2] = A[g][2q+8..]   a[3] = A[g+8][2q+8..]
//   b[0] = B[2q, 2q+1][g]   b[1] = B[2q+8..][g]
//   d[0] = D[g][2q]  d[1] = D[g][2q+1]  d[2] = D[g+8][2q]  d[3] = D[g+8][2q+1]
DEVICE void mma_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef RHEOSTAT_SIM
    sim_mma_16x8x16(d, a, b);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
// Four 8x8 matrices of b16 from shared memory: lane i gives the address of row i % 8 of matrix i / 8 (16 bytes, aligned); r[m] is
// elements 2q, 2q+1 of row g of matrix m, or, transposed, of column g.
template <bool TRANSPOSED>
DEVICE void ldmatrix_x4_(uint32_t (&r)[4], const void* row) {
#ifdef RHEOSTAT_SIM
    sim_ldmatrix_x4(r, row, TRANSPOSED);
#else
    const uint32_t address = uint32_t(__cvta_generic_to_shared(row));
    if (TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(address)
                     : "memory");
#endif
}
DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* row) { ldmatrix_x4_<false>(r, row); }
DEVICE void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* row) { ldmatrix_x4_<true>(r, row); }
