// cuda_sim.h: what a .cu file sees in the simulator in place of the CUDA headers.
//
// A block's threads are fibers of one host thread; exactly one of them runs at a time, until it waits at a barrier or a
// warp collective. Blocks of a grid run one after the other. Plain loads and stores reach the simulator through the
// compiler's -fsanitize=thread instrumentation; what has no C++ spelling (collectives, mma, cp.async, atomics) calls it here.
// Collectives need all 32 lanes, alive and converged: that is the rule of our kernels, and the simulator reports a breach.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define DEVICE static inline __attribute__((unused))

struct dim3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

extern "C" {
// The running thread. The simulator owns more behind it; kernels read only this.
struct sim_thread {
    dim3 thread, block, block_dim, grid_dim;
    unsigned lane, warp;
    void* dynamic_shared; // 1024-byte aligned, as long as the launch asked
};
extern sim_thread* sim_current;

enum sim_access_kind { SIM_READ = 0, SIM_WRITE = 1, SIM_ATOMIC = 2 };
// Checks bounds, lifetime, races and first use of [p, p + bytes); what instrumented loads and stores do by themselves.
void sim_access(const volatile void* p, unsigned bytes, int kind);
void sim_barrier(void); // __syncthreads
int sim_barrier_or(int predicate);
// Each lane hands in `bytes`; all wait; each gets the 32 lanes' values in `out`, by lane. Orders the warp's memory accesses.
void sim_warp_exchange(unsigned mask, const void* in, unsigned bytes, void* out);
// cp.async: the copy happens at the wait, so reading early reads what was there before. source_bytes < bytes zero-fills.
void sim_cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes);
void sim_cp_async_commit(void);
void sim_cp_async_wait(unsigned pending_groups);
void sim_trap(const char* why); // ends the kernel with a sticky error

struct sim_kernel_info {
    void (*run)(void** parameters); // one thread's call
    unsigned parameter_count;
    const unsigned* parameter_bytes;
};
}

#define threadIdx (sim_current->thread)
#define blockIdx (sim_current->block)
#define blockDim (sim_current->block_dim)
#define gridDim (sim_current->grid_dim)

#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(sim_current->dynamic_shared)

// KERNEL(f) after a kernel makes it launchable: its parameters are unpacked by its own signature.
namespace sim {
template <typename... A, std::size_t... I>
inline void call(void (*f)(A...), void** p, std::index_sequence<I...>) {
    f(*static_cast<std::remove_const_t<A>*>(p[I])...);
}
template <typename... A>
inline void call(void (*f)(A...), void** p) {
    call(f, p, std::index_sequence_for<A...>{});
}
template <typename F>
struct signature;
template <typename... A>
struct signature<void (*)(A...)> {
    static constexpr unsigned count = sizeof...(A);
    static constexpr unsigned bytes[sizeof...(A) + 1] = {sizeof(A)..., 0};
};
} // namespace sim
#define KERNEL(f)                                                                                                              \
    extern "C" __attribute__((no_sanitize("thread"))) void sim_run_##f(void** p) { sim::call(f, p); }                         \
    extern "C" const sim_kernel_info sim_kernel_##f;                                                                          \
    const sim_kernel_info sim_kernel_##f = {                                                                                  \
        sim_run_##f, sim::signature<decltype(&f)>::count, sim::signature<decltype(&f)>::bytes};

// ---- intrinsics -------------------------------------------------------------------------------------------------------
static inline void __syncthreads() { sim_barrier(); }
static inline int __syncthreads_or(int predicate) { return sim_barrier_or(predicate); }
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    char in = 0, out[32];
    sim_warp_exchange(mask, &in, 1, out);
}
template <typename V>
static inline V sim_shuffle(unsigned mask, V value, unsigned from) {
    V all[32];
    sim_warp_exchange(mask, &value, sizeof(V), all);
    return all[from & 31];
}
template <typename V>
static inline V __shfl_sync(unsigned mask, V value, int lane) {
    return sim_shuffle(mask, value, unsigned(lane));
}
template <typename V>
static inline V __shfl_xor_sync(unsigned mask, V value, int with) {
    return sim_shuffle(mask, value, sim_current->lane ^ unsigned(with));
}
template <typename V>
static inline V __shfl_up_sync(unsigned mask, V value, unsigned by) {
    return sim_shuffle(mask, value, sim_current->lane < by ? sim_current->lane : sim_current->lane - by);
}
template <typename V>
static inline V __shfl_down_sync(unsigned mask, V value, unsigned by) {
    return sim_shuffle(mask, value, sim_current->lane + by > 31 ? sim_current->lane : sim_current->lane + by);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    char in = predicate != 0, all[32];
    sim_warp_exchange(mask, &in, 1, all);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; i++) bits |= unsigned(all[i]) << i;
    return bits & mask;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
template <typename V>
static inline unsigned __match_any_sync(unsigned mask, V value) {
    V all[32];
    sim_warp_exchange(mask, &value, sizeof(V), all);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; i++) bits |= unsigned(all[i] == value) << i;
    return bits & mask;
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
static inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void __threadfence_block() {}
static inline void __trap() { sim_trap("__trap()"); }

static inline float __uint_as_float(unsigned x) {
    float f;
    __builtin_memcpy(&f, &x, 4);
    return f;
}
static inline unsigned __float_as_uint(float x) {
    unsigned u;
    __builtin_memcpy(&u, &x, 4);
    return u;
}
static inline int __float_as_int(float x) { return int(__float_as_uint(x)); }
static inline float __int_as_float(int x) { return __uint_as_float(unsigned(x)); }
static inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline long long __double2ll_rn(double x) { return llrint(x); }
static inline int __float2int_rn(float x) { return int(lrintf(x)); }
using std::isfinite;
using std::isnan;
using std::max;
using std::min;
template <typename V>
static inline V __ldg(const V* p) {
    return *p;
}
template <typename V>
static inline V __ldcs(const V* p) {
    return *p;
}
template <typename V>
static inline void __stcs(V* p, V value) {
    *p = value;
}
template <typename V>
__attribute__((no_sanitize("thread"))) static inline V sim_fetch_add(V* p, V value) {
    sim_access(p, sizeof(V), SIM_ATOMIC);
    return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
static inline int atomicAdd(int* p, int value) { return sim_fetch_add(p, value); }
static inline unsigned atomicAdd(unsigned* p, unsigned value) { return sim_fetch_add(p, value); }
static inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) { return sim_fetch_add(p, value); }
