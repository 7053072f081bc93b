// ptx_races.cpp: accesses to shared or global memory of different threads of a block that nothing orders. Barriers order warps,
// bar.warp.sync the lanes of one, an mbarrier what comes before an arrival and what follows a wait for its phase; shuffles, votes, mma and
// the like order nothing, nor do atomics. What the async proxy does to global memory is not looked at.
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

// Marks of global memory that the block has touched, in pages that come and go with it.
class GlobalMarks {
    static constexpr uint64_t HALVES = 512; // two bytes each
    using Page = std::array<Mark, HALVES>;
    std::unordered_map<uint64_t, Page*> pages;
    std::deque<Page> made;
    size_t used = 0;
    uint64_t last_number = UINT64_MAX;
    Page* last = nullptr;

  public:
    void clear() {
        pages.clear();
        used = 0;
        last_number = UINT64_MAX;
    }
    Mark& at(uint64_t half) {
        if (half / HALVES != last_number) {
            last_number = half / HALVES;
            Page*& page = pages[last_number];
            if (page == nullptr) {
                if (used == made.size()) made.emplace_back();
                page = &made[used++];
                page->fill(Mark{});
            }
            last = page;
        }
        return (*last)[half % HALVES];
    }
} global_marks;

// The two kinds of memory.
struct OfShared {
    static Mark& mark(uint64_t half) { return machine.marks[half]; }
    static std::string place(uint64_t address) { return "of shared memory, " + shared_place(uint32_t(address)); }
};
struct OfGlobal {
    static Mark& mark(uint64_t half) { return global_marks.at(half); }
    static std::string place(uint64_t address) { return "of global memory, at " + describe(address); }
};

template <typename Memory>
[[noreturn]] void race(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind, uint32_t other, const char* what) {
    const dim3 n = machine.launch->block;
    const unsigned t = thread_of(other);
    report(w, lane, LAUNCH_FAILED,
           std::string(VERBS[kind]) + " of " + std::to_string(bytes) + " bytes " + Memory::place(address) + ", races with " + what +
               " by thread (" + std::to_string(t % n.x) + "," + std::to_string(t / n.x % n.y) + "," + std::to_string(t / n.x / n.y) + ")");
}

template <typename Memory>
inline void read(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, uint32_t now) {
    for (uint64_t half = address / 2; half <= (address + bytes - 1) / 2; half++) {
        Mark& m = Memory::mark(half);
        if (!ordered(m.write, w, now)) race<Memory>(w, lane, address, bytes, READ, m.write, "a write");
        if (m.read1 == now || m.read2 == now) continue;
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
}

template <typename Memory>
inline void write(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind) {
    const uint32_t now = stamp_of(w, lane);
    for (uint64_t half = address / 2; half <= (address + bytes - 1) / 2; half++) {
        Mark& m = Memory::mark(half);
        const bool both_atomic = kind == ATOMIC && (m.write & 1) != 0;
        if (!both_atomic && !ordered(m.write, w, now))
            race<Memory>(w, lane, address, bytes, kind, m.write, kind == WRITE ? "another write" : "a write");
        if (!ordered(m.read1, w, now)) race<Memory>(w, lane, address, bytes, kind, m.read1, "a read");
        if (!ordered(m.read2, w, now)) race<Memory>(w, lane, address, bytes, kind, m.read2, "a read");
        m = {now | (kind == ATOMIC ? 1u : 0u), 0, 0};
    }
}

} // namespace

void check_read(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    if (machine.races) read<OfShared>(w, lane, address, bytes, stamp_of(w, lane));
}

// By the hardware, for a warp: comes before whatever any of its lanes does next.
void check_warp_read(const Warp& w, uint32_t address, uint32_t bytes) {
    if (machine.races) read<OfShared>(w, 0, address, bytes, stamp_of(w, 0) - (1u << 11));
}

void check_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, Access kind) {
    if (machine.products > 0) check_products(w, lane, address, bytes);
    if (machine.races) write<OfShared>(w, lane, address, bytes, kind);
}

void check_global(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind) {
    if (!machine.races) return;
    if (kind == READ)
        read<OfGlobal>(w, lane, address, bytes, stamp_of(w, lane));
    else
        write<OfGlobal>(w, lane, address, bytes, kind);
}
void forget_global_accesses() { global_marks.clear(); }

void publish(Seen& to, const Warp& w, unsigned lane) {
    to.add(w.seen);
    to.add(w.number, w.tick - 1, 1u << lane);
}
void next_tick(Warp& w) {
    if (w.tick < (1u << 21) - 1) w.tick++;
}

} // namespace sim::ptx
