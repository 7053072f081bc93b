// warps.cpp: what the threads of a block and of a warp do together, and the copies that a thread starts and waits for.
#include <cstring>

#include "machine.hpp"

namespace sim {

namespace {
constexpr char BARRIER[] = "__syncthreads", SYNC_WARP[] = "__syncwarp", GATHER[] = "a shuffle or vote", MMA[] = "mma", LDMATRIX[] = "ldmatrix";
} // namespace

// Enters this lane; true for the last one to come, which then does the work and calls release_warp.
bool arrive(Warp& w, unsigned mask, const char* kind, unsigned bytes) {
    const Fiber& f = *m.current;
    const unsigned lane = f.linear % LANES;
    if (mask != 0xffffffffu) stop(LAUNCH_FAILED, here() + ": " + kind + " with a mask that leaves lanes out; our kernels use all 32");
    if (w.arrived == 0) w.kind = kind, w.bytes = bytes;
    else if (w.kind != kind || w.bytes != bytes)
        stop(LAUNCH_FAILED, here() + ": comes to " + kind + " of " + std::to_string(bytes) + " bytes while other lanes of its warp wait at " +
                                w.kind + " of " + std::to_string(w.bytes) + " bytes");
    w.arrived |= 1u << lane;
    return w.arrived == 0xffffffffu;
}

void release_warp(Warp& w) {
    Fiber* first = m.current - m.current->linear % LANES;
    for (unsigned i = 0; i < LANES; i++)
        if (first + i != m.current) make_ready(first[i]);
    w.arrived = 0;
}

namespace {

Warp& my_warp() { return warp_of(*m.current); }

int barrier(int predicate, const int (Machine::*result)[2]) {
    const unsigned parity = m.barrier_parity;
    m.barrier_or[parity] |= predicate != 0;
    m.barrier_and[parity] &= predicate != 0;
    m.barrier_count[parity] += predicate != 0;
    if (++m.barrier_arrived < m.threads) wait(BARRIER);
    else {
        for (unsigned t = 0; t < m.threads; t++)
            if (&m.fibers[t] != m.current) make_ready(m.fibers[t]);
        m.barrier_arrived = 0;
        m.epoch++;
        for (unsigned w = 0; w * LANES < m.threads; w++) {
            m.warps[w].sync = 0;
            m.warps[w].seen.clear();
        }
        m.barrier_parity ^= 1;
        m.barrier_or[m.barrier_parity] = m.barrier_count[m.barrier_parity] = 0;
        m.barrier_and[m.barrier_parity] = 1;
    }
    return (m.*result)[parity];
}

// d += a b of one warp, in the order k = 0..15 for each element.
__attribute__((always_inline)) inline void multiply_fragments(Warp& w) {
    typedef float Row __attribute__((vector_size(32), may_alias));
    alignas(32) float a[16][16], b[16][8], d[16][8];
    auto split = [](unsigned packed, float& low, float& high) __attribute__((always_inline)) {
        const unsigned l = packed << 16, h = packed & 0xffff0000u;
        __builtin_memcpy(&low, &l, 4);
        __builtin_memcpy(&high, &h, 4);
    };
    for (unsigned lane = 0; lane < LANES; lane++) {
        const unsigned g = lane / 4, q = lane % 4;
        const unsigned* fa = static_cast<const unsigned*>(w.a[lane]);
        const unsigned* fb = static_cast<const unsigned*>(w.b[lane]);
        const float* fd = static_cast<const float*>(w.d[lane]);
        split(fa[0], a[g][2 * q], a[g][2 * q + 1]);
        split(fa[1], a[g + 8][2 * q], a[g + 8][2 * q + 1]);
        split(fa[2], a[g][2 * q + 8], a[g][2 * q + 9]);
        split(fa[3], a[g + 8][2 * q + 8], a[g + 8][2 * q + 9]);
        split(fb[0], b[2 * q][g], b[2 * q + 1][g]);
        split(fb[1], b[2 * q + 8][g], b[2 * q + 9][g]);
        __builtin_memcpy(&d[g][2 * q], fd, 8);
        __builtin_memcpy(&d[g + 8][2 * q], fd + 2, 8);
    }
    for (unsigned r = 0; r < 16; r++) {
        Row sum = *reinterpret_cast<Row*>(d[r]);
        for (unsigned k = 0; k < 16; k++) sum += a[r][k] * *reinterpret_cast<Row*>(b[k]);
        *reinterpret_cast<Row*>(d[r]) = sum;
    }
    for (unsigned lane = 0; lane < LANES; lane++) {
        float* fd = static_cast<float*>(w.d[lane]);
        __builtin_memcpy(fd, &d[lane / 4][2 * (lane % 4)], 8);
        __builtin_memcpy(fd + 2, &d[lane / 4 + 8][2 * (lane % 4)], 8);
    }
}
__attribute__((target("avx2,fma"))) void mma_fused(Warp& w) { multiply_fragments(w); }
void mma_plain(Warp& w) { multiply_fragments(w); }
// By feature: target_clones("arch=haswell") would ask for the processor's name.
const auto mma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? mma_fused : mma_plain;

void copy_now(const AsyncCopy& c) {
    std::memcpy(c.shared, c.global, c.source_bytes);
    std::memset(c.shared + c.source_bytes, 0, c.bytes - c.source_bytes);
}

// The stamp of a cp.async: a write from the moment of its issue, in flight until its wait.
void stamp_copy(const AsyncCopy& c, bool in_flight, const void* pc) {
    if (!m.bounds) return;
    const uint64_t address = reinterpret_cast<uint64_t>(c.shared), shared = reinterpret_cast<uint64_t>(m.shared);
    Module& module = *m.launch->function->module;
    const bool dynamic = address - shared < MAX_SHARED && address + c.bytes <= shared + m.launch->shared_bytes;
    const bool fixed = address >= module.shared_begin && address + c.bytes <= module.shared_end;
    if (!dynamic && !fixed) stray(address, c.bytes, SIM_WRITE, pc);
    if (!m.races) return;
    const Shadow s = dynamic ? dynamic_shadow() : Shadow{module.shared_begin, module.words, module.bytes};
    const uint64_t now = stamp_of(*m.current);
    if (in_flight) shared_access(s, address, c.bytes, SIM_WRITE, now | IN_FLIGHT, pc);
    else restamp(s, address, c.bytes, now); // it was this thread's all the time
}

} // namespace

} // namespace sim

using namespace sim;

EXPORT void sim_barrier() { barrier(0, &Machine::barrier_or); }
EXPORT int sim_barrier_or(int predicate) { return barrier(predicate, &Machine::barrier_or); }
EXPORT int sim_barrier_and(int predicate) { return barrier(predicate, &Machine::barrier_and); }
EXPORT int sim_barrier_count(int predicate) { return barrier(predicate, &Machine::barrier_count); }

EXPORT void sim_warp_sync(unsigned mask) {
    Warp& w = my_warp();
    if (!arrive(w, mask, SYNC_WARP, 0)) return wait(SYNC_WARP);
    w.sync++;
    release_warp(w);
}

EXPORT const unsigned char* sim_warp_gather(unsigned mask, const void* in, unsigned bytes) {
    Warp& w = my_warp();
    const unsigned parity = w.parity; // nobody comes to the next but one before all have left this one
    std::memcpy(w.slots[parity] + SIM_SLOT * (m.current->linear % LANES), in, std::min(bytes, unsigned(SIM_SLOT)));
    if (!arrive(w, mask, GATHER, bytes)) wait(GATHER);
    else {
        w.parity ^= 1;
        release_warp(w);
    }
    return w.slots[parity];
}

EXPORT void sim_mma_16x8x16(float* d, const unsigned* a, const unsigned* b) {
    Warp& w = my_warp();
    const unsigned lane = m.current->linear % LANES;
    w.d[lane] = d, w.a[lane] = a, w.b[lane] = b;
    if (!arrive(w, 0xffffffffu, MMA, 0)) return wait(MMA);
    mma(w);
    release_warp(w);
}

EXPORT void sim_ldmatrix_x4(unsigned* r, const void* row, int transposed) {
    access(row, 16, SIM_READ, PC);
    Warp& w = my_warp();
    const unsigned lane = m.current->linear % LANES;
    w.d[lane] = r, w.a[lane] = row;
    if (!arrive(w, 0xffffffffu, LDMATRIX, transposed)) return wait(LDMATRIX);
    for (unsigned i = 0; i < LANES; i++) {
        const unsigned g = i / 4, q = i % 4;
        unsigned* out = static_cast<unsigned*>(w.d[i]);
        for (unsigned matrix = 0; matrix < 4; matrix++) {
            const auto* rows = w.a + 8 * matrix;
            auto half = [&](unsigned row_, unsigned column) {
                uint16_t x;
                std::memcpy(&x, static_cast<const unsigned char*>(rows[row_]) + 2 * column, 2);
                return unsigned(x);
            };
            out[matrix] = transposed ? half(2 * q, g) | half(2 * q + 1, g) << 16 : half(g, 2 * q) | half(g, 2 * q + 1) << 16;
        }
    }
    release_warp(w);
}

EXPORT void sim_cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes) {
    if (source_bytes > 0) access(global, source_bytes, SIM_READ, PC);
    Fiber& f = *m.current;
    f.copies.push_back({static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), bytes, source_bytes, f.open_group});
    stamp_copy(f.copies.back(), true, PC);
}
EXPORT void sim_cp_async_commit() { m.current->open_group++; }
EXPORT void sim_cp_async_wait(unsigned pending_groups) {
    Fiber& f = *m.current;
    size_t done = 0;
    while (done < f.copies.size() && f.copies[done].group + pending_groups < f.open_group) {
        copy_now(f.copies[done]);
        stamp_copy(f.copies[done++], false, PC);
    }
    f.copies.erase(f.copies.begin(), f.copies.begin() + long(done));
}
EXPORT void sim_store_release(int64_t* p, int64_t value) {
    access(p, sizeof *p, SIM_WRITE, PC);
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
EXPORT void sim_trap(const char* why) { stop(ASSERT, here() + ": " + why + where(PC)); }
EXPORT long long sim_clock() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
