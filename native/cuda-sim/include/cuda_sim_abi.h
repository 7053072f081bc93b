// cuda_sim_abi.h: what kernels compiled for the simulator and the simulator itself (libcuda.so.1) agree on.
#pragma once
#include <cstddef>
#include <cstdint>

struct dim3 {
    unsigned x, y, z;
};

extern "C" {
// The running thread. The simulator owns more behind it; kernels read only this.
struct sim_thread {
    dim3 thread, block, block_dim, grid_dim;
    unsigned lane, warp;
    void* dynamic_shared; // 1024-byte aligned, as long as the launch asked
};

enum sim_access_kind { SIM_READ = 0, SIM_WRITE = 1, SIM_ATOMIC = 2 };
// Checks bounds, lifetime, races and first use of [p, p + bytes); what instrumented loads and stores do by themselves.
void sim_access(const volatile void* p, unsigned bytes, int kind);
void sim_barrier(void); // __syncthreads
int sim_barrier_or(int predicate);
int sim_barrier_and(int predicate);
int sim_barrier_count(int predicate);
void sim_warp_sync(unsigned mask); // __syncwarp: orders the memory accesses of the warp
// Each lane hands in `bytes` (at most 32); all wait; the result is the 32 lanes' values, by lane, each SIM_SLOT bytes after the
// last. It holds until this lane's next collective. As on the GPU, it does not order memory accesses: __syncwarp does.
enum { SIM_SLOT = 32 };
const unsigned char* sim_warp_gather(unsigned mask, const void* in, unsigned bytes);
// mma.m16n8k16, bf16, f32 += ; the fragments lie as common.cuh draws them.
void sim_mma_16x8x16(float* d, const unsigned* a, const unsigned* b);
// ldmatrix.x4 of 8x8 b16: `row` is this lane's row, r its four results.
void sim_ldmatrix_x4(unsigned* r, const void* row, int transposed);
// cp.async: the copy happens at the wait, so reading early is reported. source_bytes < bytes zero-fills.
void sim_cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes);
void sim_cp_async_commit(void);
void sim_cp_async_wait(unsigned pending_groups);
// Compute capability 9.0, as hopper.cuh has it. Waits return when the phase of that parity has ended.
unsigned sim_shared_address(const void* p); // within shared memory
void sim_mbarrier_init(uint64_t* mbarrier, unsigned arrivals);
void sim_mbarrier_expect(uint64_t* mbarrier, unsigned bytes); // this phase brings more
void sim_mbarrier_arrive(uint64_t* mbarrier);
void sim_mbarrier_wait(uint64_t* mbarrier, unsigned parity);
// cp.async.bulk.tensor of the map's box that begins at element (x, y, z), z 0 for two axes; counted by the mbarrier
void sim_tensor_copy(void* shared, const void* map, int x, int y, int z, uint64_t* mbarrier);
void sim_fence_proxy_async(void); // what this thread stored in shared memory is there for products
// wgmma.mma_async m64nNk16 of bf16, this warp's 16 rows: d (N / 2 registers a lane) = a b, or += a b; a and b are matrix descriptors,
// both K-major or both MN-major, or a is in registers and b is MN-major. Results are there after the wait.
void sim_wgmma(unsigned columns, float* d, uint64_t a, uint64_t b, int add, int mn_major);
void sim_wgmma_registers(unsigned columns, float* d, const unsigned* a, uint64_t b, int add);
void sim_wgmma_fence(void);
void sim_wgmma_commit(void);
void sim_wgmma_wait(unsigned pending_groups);
void sim_set_registers(unsigned count); // setmaxnreg
void sim_fence(void);            // __threadfence and its kin
void sim_store_release(int64_t* p, int64_t value); // the host, too, sees it after all that came before
void sim_trap(const char* why);  // ends the kernel with a sticky error
long long sim_clock(void);

struct sim_kernel_info {
    void (*run)(void** parameters); // one thread's call
    unsigned parameter_count;
    const unsigned* parameter_bytes;
};
}
