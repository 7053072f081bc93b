// ptx_races.cpp: accesses to shared memory of different threads that nothing orders. Barriers order warps, bar.warp.sync the lanes of one,
// an mbarrier what comes before an arrival and what follows a wait for its phase; shuffles, votes, mma and the like order nothing.
#include "ptx.hpp"

namespace sim::ptx {

namespace {

constexpr const char* VERBS[] = {"read", "write", "atomic access"};

// A stamp: the warp's tick (21 bits), the thread (10), whether it is an atomic access (1). 0: nobody.
uint32_t stamp_of(const Warp& w, unsigned lane) { return w.tick << 11 | (w.number * LANES + lane) << 1; }
uint32_t tick_of(uint32_t stamp) { return stamp >> 11; }
unsigned thread_of(uint32_t stamp) { return stamp >> 1 & 1023; }

inline bool ordered(uint32_t before, const Warp& w, uint32_t now) {
    if (before == 0 || ((before ^ now) & 0x7fe) == 0) return true;
    const unsigned thread = thread_of(before);
    return (thread / LANES == w.number && tick_of(before) < w.tick) || w.seen.has(thread, tick_of(before));
}

[[noreturn]] void race(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, Access kind, uint32_t other, const char* what) {
    const dim3 n = machine.launch->block;
    const unsigned t = thread_of(other);
    report(w, lane, LAUNCH_FAILED,
           std::string(VERBS[kind]) + " of " + std::to_string(bytes) + " bytes of shared memory, " + shared_place(address) +
               ", races with " + what + " by thread (" + std::to_string(t % n.x) + "," + std::to_string(t / n.x % n.y) + "," +
               std::to_string(t / n.x / n.y) + ")");
}

inline void read_mark(Mark& m, const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, uint32_t now) {
    if (!ordered(m.write, w, now)) race(w, lane, address, bytes, READ, m.write, "a write");
    if (m.read1 == now || m.read2 == now) return;
    // One reader of each of two warps, if there are two; so a writer of any warp meets one that it is not ordered with.
    const unsigned warp = thread_of(now) / LANES;
    if (ordered(m.read1, w, now))
        m.read1 = now;
    else if (ordered(m.read2, w, now))
        m.read2 = now;
    else if (thread_of(m.read1) / LANES == thread_of(m.read2) / LANES || thread_of(m.read2) / LANES == warp)
        m.read2 = now;
    else if (thread_of(m.read1) / LANES == warp)
        m.read1 = now;
}

} // namespace

void check_read(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    if (!machine.races) return;
    const uint32_t now = stamp_of(w, lane);
    for (uint32_t half = address / 2; half <= (address + bytes - 1) / 2; half++)
        read_mark(machine.marks[half], w, lane, address, bytes, now);
}

// By the hardware, for a warp: comes before whatever any of its lanes does next.
void check_warp_read(const Warp& w, uint32_t address, uint32_t bytes) {
    if (!machine.races) return;
    const uint32_t now = stamp_of(w, 0) - (1u << 11);
    for (uint32_t half = address / 2; half <= (address + bytes - 1) / 2; half++) read_mark(machine.marks[half], w, 0, address, bytes, now);
}

void check_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, Access kind) {
    if (machine.products > 0) check_products(w, lane, address, bytes);
    if (!machine.races) return;
    const uint32_t now = stamp_of(w, lane);
    for (uint32_t half = address / 2; half <= (address + bytes - 1) / 2; half++) {
        Mark& m = machine.marks[half];
        const bool both_atomic = kind == ATOMIC && (m.write & 1) != 0;
        if (!both_atomic && !ordered(m.write, w, now))
            race(w, lane, address, bytes, kind, m.write, kind == WRITE ? "another write" : "a write");
        if (!ordered(m.read1, w, now)) race(w, lane, address, bytes, kind, m.read1, "a read");
        if (!ordered(m.read2, w, now)) race(w, lane, address, bytes, kind, m.read2, "a read");
        m = {now | (kind == ATOMIC ? 1u : 0u), 0, 0};
    }
}

void publish(Seen& to, const Warp& w, unsigned lane) {
    to.add(w.seen);
    to.add(w.number, w.tick - 1, 1u << lane);
}
void next_tick(Warp& w) {
    if (w.tick < (1u << 21) - 1) w.tick++;
}

} // namespace sim::ptx
