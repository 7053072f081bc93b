// hopper.cuh: what compute capability 9.0 adds and our kernels use: mbarriers, tensor copies (TMA), products of a warpgroup (wgmma).
// Kernels whose bodies use it are empty on other targets (HOPPER). The simulator has the same operations, each as late as it may be.
#pragma once
#include "common.cuh"

#if defined(RHEOSTAT_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER 1
#else
#define HOPPER 0
#endif
#ifdef RHEOSTAT_SIM
#define __grid_constant__
#endif

constexpr int WARPGROUP = 4 * WARP;
using MBarrier = uint64_t;

// A CUtensorMap; as a parameter `const __grid_constant__ TensorMap map`.
struct alignas(128) TensorMap {
    uint64_t opaque[16];
};

#if HOPPER

DEVICE uint32_t shared_address(const void* p) {
#ifdef RHEOSTAT_SIM
    return sim_shared_address(p);
#else
    return uint32_t(__cvta_generic_to_shared(p));
#endif
}

// ---- mbarriers: a phase ends when `arrivals` threads have come and the bytes that it expects have been brought -----------------
DEVICE void mbarrier_init(MBarrier* b, int arrivals) {
#ifdef RHEOSTAT_SIM
    sim_mbarrier_init(b, unsigned(arrivals));
#else
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(arrivals) : "memory");
#endif
}
// After the last init, by the thread that did them; a __syncthreads follows.
DEVICE void mbarrier_init_fence() {
#ifndef RHEOSTAT_SIM
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
// This phase brings so many bytes more. Before the copies, and before the arrival that could end the phase.
DEVICE void mbarrier_expect(MBarrier* b, int bytes) {
#ifdef RHEOSTAT_SIM
    sim_mbarrier_expect(b, unsigned(bytes));
#else
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
#endif
}
// What this thread, and before a __syncwarp its warp, has done is done for whoever waits for the phase.
DEVICE void mbarrier_arrive(MBarrier* b) {
#ifdef RHEOSTAT_SIM
    sim_mbarrier_arrive(b);
#else
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
#endif
}
// Until the phase of this parity has ended; the first phase has parity 0, and the one before it counts as ended.
DEVICE void mbarrier_wait(MBarrier* b, int parity) {
#ifdef RHEOSTAT_SIM
    sim_mbarrier_wait(b, unsigned(parity));
#else
    uint32_t ended;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(ended)
                     : "r"(shared_address(b)), "r"(parity)
                     : "memory");
    } while (ended == 0);
#endif
}

// ---- tensor copies -------------------------------------------------------------------------------------------------------------
// Before the first copy by a map, so that it does not wait for the map too.
DEVICE void prefetch_map([[maybe_unused]] const TensorMap& map) {
#ifndef RHEOSTAT_SIM
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#endif
}
// The map's box that begins at element (x, y, z) of its tensor, to 1024-byte aligned shared memory; zeros outside of the tensor.
DEVICE void tensor_copy(void* shared, const TensorMap& map, int x, int y, int z, MBarrier* b) {
#ifdef RHEOSTAT_SIM
    sim_tensor_copy(shared, &map, x, y, z, b);
#else
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(
                     shared_address(shared)),
                 "l"(&map), "r"(x), "r"(y), "r"(z), "r"(shared_address(b))
                 : "memory");
#endif
}

// What this thread has read and stored in shared memory comes before copies and products that start after the next mbarrier.
DEVICE void fence_proxy_async() {
#ifdef RHEOSTAT_SIM
    sim_fence_proxy_async();
#else
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// ---- wgmma -----------------------------------------------------------------------------------------------------------------------
// All four warps of a warpgroup call these together. Accumulators are d[N / 8][4] of a lane, each as mma_16x8x16 has it for eight
// columns: warp w of the group holds rows 16 w to 16 w + 15.

// Before the first product after registers were touched that it uses.
DEVICE void wgmma_fence() {
#ifdef RHEOSTAT_SIM
    sim_wgmma_fence();
#else
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
DEVICE void wgmma_commit() {
#ifdef RHEOSTAT_SIM
    sim_wgmma_commit();
#else
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
// Until at most PENDING groups of products are under way.
template <int PENDING>
DEVICE void wgmma_wait() {
#ifdef RHEOSTAT_SIM
    sim_wgmma_wait(PENDING);
#else
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#endif
}
// The compiler moves no use of these registers across this: around products under way.
template <int N>
DEVICE void wgmma_hold([[maybe_unused]] float (&d)[N][4]) {
#ifndef RHEOSTAT_SIM
    UNROLL
    for (int n = 0; n < N; n++) asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
#endif
}

// A matrix in shared memory: rows of 64 bf16 (128 bytes), swizzled as a tensor copy leaves them, each eight rows 1024 bytes after
// the last eight; columns 64 and on lie `panel` bytes further on. PTX ISA, "Matrix Descriptor Format" and "Strides".
DEVICE uint64_t matrix_descriptor(const bf16* tile, int panel) {
    return uint64_t((shared_address(tile) & 0x3ffff) >> 4) | uint64_t(panel >> 4) << 16 | uint64_t(1024 >> 4) << 32 |
           uint64_t(1) << 62;
}

#define REGISTERS_0_31 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define REGISTERS_32_63 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define IN_OUT_4(d) "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])
#define IN_OUT_32(d, n)                                                                                                        \
    IN_OUT_4(d[n]), IN_OUT_4(d[n + 1]), IN_OUT_4(d[n + 2]), IN_OUT_4(d[n + 3]), IN_OUT_4(d[n + 4]), IN_OUT_4(d[n + 5]),        \
        IN_OUT_4(d[n + 6]), IN_OUT_4(d[n + 7])

// d (64 x N) = a b, or += a b if add; a (64 x 16) and b (N x 16, transposed) have their 16 columns side by side; or, SIDE_BY_SIDE, a its 64
// rows and b (16 x 64) its 64 columns.
constexpr int SIDE_BY_SIDE = 1;
template <int ROWS_AND_COLUMNS = 0>
DEVICE void wgmma(float (&d)[8][4], uint64_t a, uint64_t b, bool add) {
#ifdef RHEOSTAT_SIM
    sim_wgmma(64, d[0], a, b, add, ROWS_AND_COLUMNS);
#else
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" REGISTERS_0_31
                 "}, %32, %33, p, 1, 1, %35, %35; }"
                 : IN_OUT_32(d, 0)
                 : "l"(a), "l"(b), "r"(int(add)), "n"(ROWS_AND_COLUMNS));
#endif
}
DEVICE void wgmma(float (&d)[16][4], uint64_t a, uint64_t b, bool add) {
#ifdef RHEOSTAT_SIM
    sim_wgmma(128, d[0], a, b, add, false);
#else
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" REGISTERS_0_31
                 "," REGISTERS_32_63 "}, %64, %65, p, 1, 1, 0, 0; }"
                 : IN_OUT_32(d, 0), IN_OUT_32(d, 8)
                 : "l"(a), "l"(b), "r"(int(add)));
#endif
}
// d (64 x N) += a b; a (64 x 16) in registers, as mma_16x8x16 has it for a warp's rows; b (16 x N) has its N columns side by side.
DEVICE void wgmma(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b) {
#ifdef RHEOSTAT_SIM
    sim_wgmma_registers(64, d[0], a, b, 1);
#else
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" REGISTERS_0_31
                 "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
                 : IN_OUT_32(d, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
#endif
}
DEVICE void wgmma(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
#ifdef RHEOSTAT_SIM
    sim_wgmma_registers(128, d[0], a, b, 1);
#else
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" REGISTERS_0_31 "," REGISTERS_32_63
                 "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
                 : IN_OUT_32(d, 0), IN_OUT_32(d, 8)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
#endif
}
#undef REGISTERS_0_31
#undef REGISTERS_32_63
#undef IN_OUT_4
#undef IN_OUT_32

// ---- sums in global memory: p[0 .. 3] += x, four numbers of this thread's; what one thread adds to a place is added in its order ------
DEVICE void add_4(float4* p, float4 x) {
#ifdef RHEOSTAT_SIM
    float* sums = &p->x;
    atomicAdd(sums, x.x), atomicAdd(sums + 1, x.y), atomicAdd(sums + 2, x.z), atomicAdd(sums + 3, x.w);
#else
    asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "f"(x.x), "f"(x.y),
                 "f"(x.z), "f"(x.w)
                 : "memory");
#endif
}

// ---- registers of a warpgroup: what one gives back another may take; a multiple of 8 from 24 to 256 ------------------------------
template <int COUNT>
DEVICE void give_back_registers() {
#ifdef RHEOSTAT_SIM
    sim_set_registers(COUNT);
#else
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
#endif
}
template <int COUNT>
DEVICE void take_registers() {
#ifdef RHEOSTAT_SIM
    sim_set_registers(COUNT);
#else
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
#endif
}

#endif // HOPPER
