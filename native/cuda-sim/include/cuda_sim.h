// cuda_sim.h: what a .cu file sees in the simulator in place of the CUDA headers.
//
// A block's threads are fibers of one host thread; exactly one of them runs at a time, until it waits at a barrier or a
// warp collective. Blocks of a grid run one after the other. Plain loads and stores reach the simulator through the
// compiler's -fsanitize=thread instrumentation; what has no C++ spelling (collectives, mma, cp.async, atomics) calls it here.
// Collectives need all 32 lanes, alive and converged: that is the rule of our kernels, and the simulator reports a breach.
#pragma once
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cuda_sim_abi.h"

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
#define DEVICE_MEMBER inline

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

// The running thread, in a register that this file's compiler keeps its hands off: reading it is no memory access.
register sim_thread* sim_current asm("r15");

#define threadIdx (sim_current->thread)
#define blockIdx (sim_current->block)
#define blockDim (sim_current->block_dim)
#define gridDim (sim_current->grid_dim)

#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(sim_current->dynamic_shared)

// KERNEL(f) after a kernel makes it launchable: its parameters are unpacked by its own signature.
namespace sim {
template <typename A>
__attribute__((no_sanitize("thread"))) inline A parameter(const void* p) { // of any alignment
    std::remove_const_t<A> value;
    std::memcpy(&value, p, sizeof value);
    return value;
}
template <typename... A, std::size_t... I>
__attribute__((no_sanitize("thread"))) inline void call(void (*f)(A...), void** p, std::index_sequence<I...>) {
    f(parameter<A>(p[I])...);
}
template <typename... A>
__attribute__((no_sanitize("thread"))) inline void call(void (*f)(A...), void** p) {
    call(f, p, std::index_sequence_for<A...>{});
}
template <typename F>
struct signature;
template <typename... A>
struct signature<void (*)(A...)> {
    static constexpr unsigned count = sizeof...(A);
    static constexpr unsigned bytes[sizeof...(A) + 1] = {sizeof(A)..., 0};
};
template <typename V>
struct itself {
    using type = V;
};
template <typename V>
using same = typename itself<V>::type; // a parameter that follows the pointer's type, as CUDA's overloads do
} // namespace sim
#define KERNEL(f)                                                                                                              \
    extern "C" __attribute__((no_sanitize("thread"), visibility("default"))) void sim_run_##f(void** p) { sim::call(f, p); } \
    extern "C" __attribute__((visibility("default"))) const sim_kernel_info sim_kernel_##f;                                  \
    const sim_kernel_info sim_kernel_##f = {                                                                                  \
        sim_run_##f, sim::signature<decltype(&f)>::count, sim::signature<decltype(&f)>::bytes};

// ---- intrinsics -------------------------------------------------------------------------------------------------------
static inline void __syncthreads() { sim_barrier(); }
static inline int __syncthreads_or(int predicate) { return sim_barrier_or(predicate); }
static inline int __syncthreads_and(int predicate) { return sim_barrier_and(predicate); }
static inline int __syncthreads_count(int predicate) { return sim_barrier_count(predicate); }
static inline void __syncwarp(unsigned mask = 0xffffffffu) { sim_warp_sync(mask); }
template <typename V>
__attribute__((no_sanitize("thread"))) static inline V sim_slot(const unsigned char* all, unsigned lane) {
    V value;
    __builtin_memcpy(&value, all + SIM_SLOT * (lane & 31), sizeof value);
    return value;
}
// All 32 lanes' values in `out`, by lane.
__attribute__((no_sanitize("thread"), unused)) static void sim_warp_exchange(unsigned mask, const void* in, unsigned bytes, void* out) {
    const unsigned char* all = sim_warp_gather(mask, in, bytes);
    for (unsigned i = 0; i < 32; i++) std::memcpy(static_cast<char*>(out) + bytes * i, all + SIM_SLOT * i, bytes);
}
template <typename V>
__attribute__((no_sanitize("thread"))) static V sim_shuffle(unsigned mask, V value, unsigned from) {
    static_assert(sizeof(V) <= SIM_SLOT, "a shuffled value is at most a slot long");
    return sim_slot<V>(sim_warp_gather(mask, &value, sizeof value), from);
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
__attribute__((no_sanitize("thread"), unused)) static unsigned __ballot_sync(unsigned mask, int predicate) {
    const int in = predicate != 0;
    const unsigned char* all = sim_warp_gather(mask, &in, sizeof in);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; i++) bits |= unsigned(all[SIM_SLOT * i]) << i;
    return bits & mask;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }
template <typename V>
__attribute__((no_sanitize("thread"))) static unsigned __match_any_sync(unsigned mask, V value) {
    const unsigned char* all = sim_warp_gather(mask, &value, sizeof value);
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; i++) bits |= unsigned(std::memcmp(all + SIM_SLOT * i, &value, sizeof value) == 0) << i;
    return bits & mask;
}
static inline unsigned __activemask() { return 0xffffffffu; } // whole warps, by our rules
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
static inline void __threadfence() { sim_fence(); }
static inline void __threadfence_system() { sim_fence(); }
static inline void __threadfence_block() {}
static inline long long clock64() { return sim_clock(); }
static inline void __nanosleep(unsigned) {}
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
static inline V __ldcg(const V* p) {
    return *p;
}
template <typename V>
static inline void __stcg(V* p, V value) {
    *p = value;
}

// ---- atomics: one thread runs at a time, but the host may look on -------------------------------------------------------
template <typename V>
__attribute__((no_sanitize("thread"))) static V sim_fetch_add(V* p, V value) {
    sim_access(p, sizeof(V), SIM_ATOMIC);
    return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}
// x -> f(x), for what the host has no instruction
template <typename V, typename F>
__attribute__((no_sanitize("thread"))) static V sim_update(V* p, F f) {
    sim_access(p, sizeof(V), SIM_ATOMIC);
    V old, next;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    do next = f(old);
    while (!__atomic_compare_exchange(p, &old, &next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
static inline int atomicAdd(int* p, int value) { return sim_fetch_add(p, value); }
static inline unsigned atomicAdd(unsigned* p, unsigned value) { return sim_fetch_add(p, value); }
static inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long value) { return sim_fetch_add(p, value); }
static inline float atomicAdd(float* p, float value) {
    return sim_update(p, [=](float x) { return x + value; });
}
template <typename V>
static inline V atomicMax(V* p, sim::same<V> value) {
    return sim_update(p, [=](V x) { return x < value ? value : x; });
}
template <typename V>
static inline V atomicMin(V* p, sim::same<V> value) {
    return sim_update(p, [=](V x) { return value < x ? value : x; });
}
template <typename V>
static inline V atomicOr(V* p, sim::same<V> value) {
    return sim_update(p, [=](V x) { return x | value; });
}
template <typename V>
static inline V atomicExch(V* p, sim::same<V> value) {
    return sim_update(p, [=](V) { return value; });
}
template <typename V>
static inline V atomicCAS(V* p, sim::same<V> expected, sim::same<V> value) {
    return sim_update(p, [=](V x) { return x == expected ? value : x; });
}
// atomicInc of CUDA: wraps to 0 past `last`
static inline unsigned atomicInc(unsigned* p, unsigned last) {
    return sim_update(p, [=](unsigned x) { return x >= last ? 0u : x + 1; });
}
