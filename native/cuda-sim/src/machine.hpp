// machine.hpp: the machine that runs a kernel, as its parts share it: exec.cpp (fibers and blocks), checks.cpp (accesses), warps.cpp
// (barriers, collectives, cp.async) and hopper.cpp (mbarriers, tensor copies, wgmma).
#pragma once
#include <algorithm>
#include <random>

#include "sim.hpp"
#include "where.hpp"

namespace sim {

constexpr unsigned MAX_THREADS = 1024, LANES = 32, MAX_WARPS = MAX_THREADS / LANES;
constexpr uint64_t STACK_BYTES = 256 << 10, GUARD_BYTES = 4096; // a guard page below each stack
constexpr uint64_t MAX_SHARED = 256 << 10;

// A stamp says who touched a byte of shared memory, when and how:
// epoch (28 bits, a block barrier or a new block begins one) | sync (24, the warp's __syncwarp count) | thread (10) | how (2)
constexpr uint64_t ATOMIC = 1, IN_FLIGHT = 2, BROUGHT = 3; // 0: plainly; BROUGHT: products see it, by a tensor copy that has ended or a fence
constexpr unsigned EPOCH_BITS = 28;
inline uint64_t epoch_of(uint64_t stamp) { return stamp >> 36; }
inline uint64_t sync_of(uint64_t stamp) { return stamp >> 12 & 0xffffff; }
inline unsigned thread_of(uint64_t stamp) { return unsigned(stamp >> 2 & 1023); }
inline uint64_t how_of(uint64_t stamp) { return stamp & 3; }

enum State : uint8_t { READY, WAITING, EXITED };

struct AsyncCopy { // cp.async
    unsigned char* shared;
    const unsigned char* global;
    unsigned bytes, source_bytes, group;
};

struct Fiber {
    void* sp;
    sim_thread* self;
    uint64_t stack;
    unsigned linear;
    State state;
    const char* waits_for; // of WAITING
    unsigned open_group;   // cp.async groups committed so far
    std::vector<AsyncCopy> copies;
};

// wgmma.mma_async of a warp's 16 rows: done at its wait.
struct Product {
    unsigned columns, group;
    bool add, a_in_registers, mn_major;
    uint64_t a, b; // descriptors; a only if it is in shared memory
    unsigned a_registers[LANES][4];
    float* d[LANES];
    std::vector<float> start; // of d, by lane; empty if an earlier product still owns d, or none is needed
};

// What of each other warp comes before now, by way of mbarriers: all before a count of its __syncwarp, and what one thread of it, the
// last that arrived, did in that count too.
struct Seen {
    uint64_t sync[MAX_WARPS];
    unsigned thread[MAX_WARPS];
    uint64_t thread_sync[MAX_WARPS];
    bool has(unsigned warp, unsigned thread_, uint64_t sync_) const {
        return sync_ < sync[warp] || (thread[warp] == thread_ && sync_ <= thread_sync[warp]);
    }
    void add(unsigned warp, uint64_t sync_, unsigned thread_, uint64_t thread_sync_) {
        sync[warp] = std::max(sync[warp], sync_);
        if (thread_sync_ >= thread_sync[warp]) thread[warp] = thread_, thread_sync[warp] = thread_sync_;
    }
    void add(const Seen& other) {
        for (unsigned w = 0; w < MAX_WARPS; w++) add(w, other.sync[w], other.thread[w], other.thread_sync[w]);
    }
    void clear() {
        std::fill_n(sync, MAX_WARPS, 0);
        std::fill_n(thread, MAX_WARPS, MAX_THREADS);
        std::fill_n(thread_sync, MAX_WARPS, 0);
    }
};

struct Warp {
    unsigned arrived, exited;
    const char* kind; // of the collective that the first lane came to
    unsigned bytes;
    unsigned parity;
    uint64_t sync;
    Seen seen;
    const void *a[LANES], *b[LANES];
    void* d[LANES];
    uint64_t descriptors[2];
    std::vector<Product> products;
    unsigned open_group; // of wgmma
    bool fenced;         // a wgmma.fence since the last wait
    alignas(64) unsigned char slots[2][LANES * SIM_SLOT];
};

// cp.async.bulk.tensor: done when somebody needs its mbarrier's phase to end, so who does not wait is found out.
struct TensorCopy {
    unsigned char* shared;
    unsigned char map[128]; // as cuTensorMapEncodeTiled writes it here
    int coordinates[3];
    uint64_t stamp; // of its issue
};

struct MBarrier {
    uint64_t address;
    unsigned arrivals, missing; // of a phase: all, and not yet come
    int64_t bytes;              // expected and not yet brought
    uint64_t phase, epoch;
    Seen seen; // by those that have arrived, in that epoch
    std::vector<TensorCopy> copies;
    std::vector<Fiber*> waiting;
};

// The one kernel that runs.
struct Machine {
    Fiber fibers[MAX_THREADS];
    Warp warps[MAX_WARPS];
    std::vector<MBarrier> mbarriers;
    std::vector<std::pair<uint64_t, unsigned>> unfenced[MAX_THREADS]; // stores to shared memory (address, bytes) since fence.proxy.async
    unsigned char* stacks = nullptr;
    unsigned char* shared = nullptr; // dynamic shared memory, 1024-byte aligned
    std::vector<Cell> words, bytes;  // its shadow
    void* scheduler = nullptr;
    Fiber* current = nullptr;
    uint64_t stack_low = 0; // of current
    unsigned threads = 0, left = 0;
    unsigned barrier_arrived = 0;
    int barrier_or[2], barrier_and[2], barrier_count[2];
    unsigned barrier_parity = 0;
    uint64_t epoch = 1, first_epoch = 1, block_number = 0;
    uint64_t ready[MAX_THREADS / 64];
    Fiber* round[MAX_THREADS];
    unsigned round_at = 0, round_count = 0;
    std::mt19937_64 random;
    const Launch* launch = nullptr;
    dim3 block{};
    uint32_t block_linear = 0;
    std::vector<void*> parameters;
    Failure failure;
    bool bounds = true, races = true, global_races = false;
    uint64_t launch_number = 0;
};
extern Machine m;

inline Warp& warp_of(const Fiber& f) { return m.warps[f.linear / LANES]; }
inline uint64_t stamp_of(const Fiber& f) {
    return m.epoch << 36 | (warp_of(f).sync & 0xffffff) << 12 | uint64_t(f.linear) << 2;
}

// ---- exec.cpp
std::string coordinates(dim3 d);
std::string thread_name(unsigned linear);
std::string here();                                   // kernel, block and thread that run
[[noreturn]] void stop(int code, const std::string& text); // ends the kernel
void make_ready(Fiber& f);
void wait(const char* what); // until somebody makes this thread ready again

// ---- checks.cpp
struct Shadow {
    uint64_t begin;
    std::vector<Cell>&words, &bytes;
};
inline Shadow dynamic_shadow() { return Shadow{reinterpret_cast<uint64_t>(m.shared), m.words, m.bytes}; }
// Checks an access of a thread before it happens; pc: the instruction that makes it, for reports.
void checked(uint64_t address, unsigned bytes, int kind, const void* pc);
inline void access(const volatile void* p, unsigned bytes, int kind, const void* pc) {
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    if (address - m.stack_low < STACK_BYTES || m.current == nullptr || !m.bounds) return;
    checked(address, bytes, kind, pc);
}
void access_range(const volatile void* p, uint64_t bytes, int kind, const void* pc); // of any alignment
void shared_access(const Shadow& s, uint64_t address, unsigned bytes, int kind, uint64_t now, const void* pc);
// Says how bytes of shared memory were written last, without a check: an asynchronous copy has ended.
void restamp(const Shadow& s, uint64_t address, unsigned bytes, uint64_t stamp);
[[noreturn]] void stray(uint64_t address, unsigned bytes, int kind, const void* pc);
void begin_global_checks(uint64_t blocks);

// ---- warps.cpp
// Enters this lane; true for the last one to come, which then does the work and calls release_warp.
bool arrive(Warp& w, unsigned mask, const char* kind, unsigned bytes);
void release_warp(Warp& w);

// ---- hopper.cpp
void begin_hopper_block();
void end_hopper_thread(const Fiber& f); // reports what it leaves under way

} // namespace sim

#define PC __builtin_return_address(0)
