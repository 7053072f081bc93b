// checks.cpp: whether an access of a kernel is one that it may make. Loads and stores of instrumented kernels arrive at the __tsan
// hooks below and are checked before they happen: bounds, lifetime, alignment, races.
#include <sys/mman.h>

#include "machine.hpp"

namespace sim {

namespace {

// ---- shared memory: races and first use ---------------------------------------------------------------------------------

inline bool ordered(uint64_t before, uint64_t now) {
    return epoch_of(before) < epoch_of(now) || thread_of(before) == thread_of(now) ||
           (thread_of(before) / LANES == thread_of(now) / LANES && sync_of(before) < sync_of(now)) ||
           m.warps[thread_of(now) / LANES].seen.has(thread_of(before) / LANES, thread_of(before), sync_of(before));
}

[[noreturn]] void shared_problem(const char* what, const char* verb, uint64_t address, unsigned bytes, const Shadow& s,
                                 uint64_t other, const void* pc) {
    std::ostringstream out;
    out << here() << ": " << verb << " of " << bytes << " bytes of shared memory, ";
    if (s.begin == reinterpret_cast<uint64_t>(m.shared)) out << "byte " << address - s.begin << " of the dynamic part";
    else {
        const Module::Symbol* v = m.launch->function->module->shared_variable_below(address);
        out << "byte " << address - v->begin << " of " << v->name;
    }
    out << ", " << what;
    if (other != 0) out << thread_name(thread_of(other));
    out << where(pc);
    stop(LAUNCH_FAILED, out.str());
}

inline void touch(Cell& c, uint64_t now, int kind, uint64_t address, unsigned bytes, const Shadow& s, const void* pc) {
    static const char* verbs[] = {"read", "write", "atomic access"};
    const bool written = epoch_of(c.write) >= m.first_epoch;
    if (written && how_of(c.write) == IN_FLIGHT && how_of(now) != IN_FLIGHT)
        shared_problem("which an asynchronous copy is under way to that has not been waited for, issued by ", verbs[kind], address, bytes, s,
                       c.write, pc);
    if (kind != SIM_WRITE && !written)
        shared_problem("which no thread of this block has written", verbs[kind], address, bytes, s, 0, pc);
    const bool both_atomic = kind == SIM_ATOMIC && how_of(c.write) == ATOMIC;
    if (!both_atomic && !ordered(c.write, now))
        shared_problem(kind == SIM_READ ? "races with a write by " : "races with another write, by ", verbs[kind], address, bytes, s,
                       c.write, pc);
    if (kind == SIM_READ) {
        if (c.read1 == now || c.read2 == now) return;
        // One reader of each of two warps, if there are two; so a writer of any warp meets one that it is not ordered with.
        const unsigned warp = thread_of(now) / LANES;
        if (epoch_of(c.read1) < epoch_of(now) || thread_of(c.read1) == thread_of(now)) c.read1 = now;
        else if (epoch_of(c.read2) < epoch_of(now) || thread_of(c.read2) == thread_of(now)) c.read2 = now;
        else if (thread_of(c.read1) / LANES == thread_of(c.read2) / LANES) {
            if (thread_of(c.read2) / LANES != warp || sync_of(c.read1) >= sync_of(c.read2)) c.read2 = now;
            else c.read1 = now;
        } else if (thread_of(c.read1) / LANES == warp) c.read1 = now;
        else if (thread_of(c.read2) / LANES == warp) c.read2 = now;
        return;
    }
    if (!ordered(c.read1, now)) shared_problem("races with a read by ", verbs[kind], address, bytes, s, c.read1, pc);
    if (!ordered(c.read2, now)) shared_problem("races with a read by ", verbs[kind], address, bytes, s, c.read2, pc);
    c.write = now | (kind == SIM_ATOMIC ? ATOMIC : 0);
    c.read1 = c.read2 = 0;
}

} // namespace

// Words are the unit; a word that is once touched in part is kept byte by byte until the block ends.
void shared_access(const Shadow& s, uint64_t address, unsigned bytes, int kind, uint64_t now, const void* pc) {
    for (uint64_t at = address, end = address + bytes; at < end;) {
        const uint64_t word = (at - s.begin) / 4, word_end = s.begin + word * 4 + 4;
        Cell& c = s.words[word];
        const bool whole = at % 4 == 0 && word_end <= end;
        if (whole && c.split != m.block_number) {
            touch(c, now, kind, address, bytes, s, pc);
            at = word_end;
            continue;
        }
        if (c.split != m.block_number) {
            for (unsigned i = 0; i < 4; i++) s.bytes[word * 4 + i] = c;
            c.split = m.block_number;
        }
        for (; at < end && at < word_end; at++) touch(s.bytes[at - s.begin], now, kind, address, bytes, s, pc);
    }
}

void restamp(const Shadow& s, uint64_t address, unsigned bytes, uint64_t stamp) {
    for (uint64_t i = address - s.begin; i < address - s.begin + bytes; i++)
        (s.words[i / 4].split == m.block_number ? s.bytes[i] : s.words[i / 4]).write = stamp;
}

// ---- every access -----------------------------------------------------------------------------------------------------------

[[noreturn]] void stray(uint64_t address, unsigned bytes, int kind, const void* pc) {
    static const char* verbs[] = {"read", "write", "atomic access"};
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    const bool dead = a != nullptr && !a->live && address - a->begin < a->bytes;
    std::ostringstream out;
    out << here() << ": " << verbs[kind] << " of " << bytes << " bytes " << (dead ? "after free" : "out of bounds") << ", at ";
    const uint64_t shared = reinterpret_cast<uint64_t>(m.shared);
    if (address - shared < MAX_SHARED)
        out << "byte " << address - shared << " of " << m.launch->shared_bytes << " bytes of dynamic shared memory";
    else if (const Module::Symbol* v = m.launch->function->module->shared_variable_below(address))
        out << address - v->begin - v->bytes << " bytes past the " << v->bytes << " bytes of " << v->name;
    else if (address - (m.stack_low - GUARD_BYTES) < STACK_BYTES + GUARD_BYTES) out << "the end of the thread's stack";
    else out << describe(address);
    out << where(pc);
    stop(ILLEGAL_ADDRESS, out.str());
}

namespace {

void global_access(Allocation& a, uint64_t address, unsigned bytes, int kind, const void* pc);

} // namespace

void checked(uint64_t address, unsigned bytes, int kind, const void* pc) {
    if (abandon.load(std::memory_order_relaxed)) stop(LAUNCH_FAILED, here() + ": abandoned by a reset");
    if ((address & (bytes - 1)) != 0 && (bytes & (bytes - 1)) == 0) {
        std::ostringstream out;
        out << here() << ": an access of " << bytes << " bytes at " << describe(address) << " is not aligned to its size" << where(pc);
        stop(MISALIGNED_ADDRESS, out.str());
    }
    if (Allocation* a = allocation_at(address)) {
        if (!a->live || address - a->begin > a->bytes || bytes > a->bytes - (address - a->begin)) stray(address, bytes, kind, pc);
        if (a->pinned) {
            if (kind != SIM_WRITE) counters.kernel_host_read_bytes += bytes;
            if (kind != SIM_READ) counters.kernel_host_written_bytes += bytes;
        }
        if (m.global_races) global_access(*a, address, bytes, kind, pc);
        return;
    }
    const uint64_t shared = reinterpret_cast<uint64_t>(m.shared);
    if (address - shared < MAX_SHARED) {
        if (address + bytes > shared + m.launch->shared_bytes) stray(address, bytes, kind, pc);
        if (m.races) shared_access(Shadow{shared, m.words, m.bytes}, address, bytes, kind, stamp_of(*m.current), pc);
        if (m.races && kind == SIM_WRITE && !m.mbarriers.empty()) m.unfenced[m.current->linear].emplace_back(address, bytes);
        return;
    }
    Module& module = *m.launch->function->module;
    if (address - module.shared_begin < module.shared_end - module.shared_begin) {
        const Module::Symbol* v = module.shared_variable_below(address);
        if (v == nullptr || address + bytes > v->begin + v->bytes) stray(address, bytes, kind, pc);
        if (m.races)
            shared_access(Shadow{module.shared_begin, module.words, module.bytes}, address, bytes, kind, stamp_of(*m.current), pc);
        return;
    }
    if (kind == SIM_READ)
        for (const auto& [begin, end] : module.constant)
            if (address >= begin && address + bytes <= end) return;
    for (const HostRange& r : registered)
        if (address - r.begin <= r.bytes && bytes <= r.bytes - (address - r.begin)) return;
    stray(address, bytes, kind, pc);
}

// For a range, which may have any alignment: cut into the largest aligned pieces.
void access_range(const volatile void* p, uint64_t bytes, int kind, const void* pc) {
    uint64_t address = reinterpret_cast<uint64_t>(p);
    if (address - m.stack_low < STACK_BYTES || m.current == nullptr || !m.bounds) return;
    while (bytes > 0) {
        unsigned piece = 16;
        while (piece > bytes || address % piece != 0) piece /= 2;
        checked(address, piece, kind, pc);
        address += piece, bytes -= piece;
    }
}

// ---- global memory: conflicting accesses of different blocks of one launch -----------------------------------------------------

// Two words for each 4 bytes of an allocation that kernels touch: the last writer and the last reader,
// launch (24 bits) | block (35) | which of the 4 bytes (4) | atomic (1). The launch makes what an earlier one left void, so
// the space is used again after a reset as it is: fresh pages are what this check costs most.
namespace {

constexpr uint64_t SHADOW_BYTES = uint64_t(1) << 40, KEPT_SHADOW_BYTES = 256 << 20;
unsigned char* shadows = nullptr;
uint64_t shadows_used = 0;

uint64_t* shadow_of(Allocation& a) {
    if (a.shadow != nullptr) return a.shadow;
    if (shadows == nullptr) {
        void* p = mmap(nullptr, SHADOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return nullptr;
        madvise(p, SHADOW_BYTES, MADV_HUGEPAGE);
        shadows = static_cast<unsigned char*>(p);
    }
    const uint64_t bytes = (a.bytes + 3) / 4 * 16;
    if (bytes > SHADOW_BYTES - shadows_used) return nullptr;
    a.shadow = reinterpret_cast<uint64_t*>(shadows + shadows_used);
    shadows_used += bytes;
    return a.shadow;
}
struct BlockOrder { // what a block did to be ordered with others
    bool fenced = false, published = false, acquired = false;
};
std::vector<BlockOrder> block_orders;

uint64_t launch_part(uint64_t entry) { return entry >> 40; }
uint32_t block_part(uint64_t entry) { return uint32_t(entry >> 5 & 0x7ffffffff); }

void global_access(Allocation& a, uint64_t address, unsigned bytes, int kind, const void* pc) {
    if (a.pinned) return;
    uint64_t* shadow = shadow_of(a);
    if (shadow == nullptr) return;
    BlockOrder& mine = block_orders[m.block_linear];
    if (kind == SIM_ATOMIC) {
        mine.acquired = true; // what others published before their atomics is seen after this one
        if (mine.fenced) mine.published = true;
    }
    for (uint64_t at = address; at < address + bytes; at = (at | 3) + 1) {
        uint64_t* entry = shadow + (at - a.begin) / 4 * 2;
        unsigned mask = 0;
        for (uint64_t b = at; b < address + bytes && b <= (at | 3); b++) mask |= 1u << (b & 3);
        const uint64_t me = (m.launch_number & 0xffffff) << 40 | uint64_t(m.block_linear) << 5 | mask << 1 | (kind == SIM_ATOMIC ? 1 : 0);
        auto conflicts = [&](uint64_t other) {
            if (launch_part(other) != launch_part(me) || block_part(other) == block_part(me)) return false;
            if ((other >> 1 & 15 & mask) == 0 || ((other & 1) != 0 && kind == SIM_ATOMIC)) return false;
            return !(block_orders[block_part(other)].published && mine.acquired);
        };
        for (int i = 0; i < (kind == SIM_READ ? 1 : 2); i++) {
            if (!conflicts(entry[i])) continue;
            std::ostringstream out;
            const uint32_t other = block_part(entry[i]);
            const dim3 g = m.launch->grid;
            out << here() << ": " << (kind == SIM_READ ? "read" : kind == SIM_WRITE ? "write" : "atomic access") << " of " << bytes
                << " bytes at " << describe(at) << " races with a " << (i == 0 ? "write" : "read") << " by block "
                << coordinates({other % g.x, other / g.x % g.y, other / g.x / g.y}) << " of the same launch" << where(pc);
            stop(LAUNCH_FAILED, out.str());
        }
        auto merge = [&](uint64_t old) { return old >> 5 == me >> 5 && (old & 1) == (me & 1) ? old | me : me; };
        if (kind == SIM_READ) entry[1] = merge(entry[1]);
        else entry[0] = merge(entry[0]);
    }
}

} // namespace

void begin_global_checks(uint64_t blocks) { block_orders.assign(blocks, BlockOrder{}); }

void forget_shadows() {
    if (shadows_used > KEPT_SHADOW_BYTES) madvise(shadows + KEPT_SHADOW_BYTES, shadows_used - KEPT_SHADOW_BYTES, MADV_DONTNEED);
    shadows_used = 0;
}

} // namespace sim

using namespace sim;

EXPORT void sim_fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (m.global_races) block_orders[m.block_linear].fenced = true;
}
EXPORT void sim_access(const volatile void* p, unsigned bytes, int kind) { access(p, bytes, kind, PC); }

// What -fsanitize=thread calls.
EXPORT void __tsan_init() {}
EXPORT void __tsan_func_entry(void*) {}
EXPORT void __tsan_func_exit() {}
#define HOOKS(n)                                                                                     \
    EXPORT void __tsan_read##n(void* p) { access(p, n, SIM_READ, PC); }                               \
    EXPORT void __tsan_write##n(void* p) { access(p, n, SIM_WRITE, PC); }                             \
    EXPORT void __tsan_volatile_read##n(void* p) { access(p, n, SIM_READ, PC); }                      \
    EXPORT void __tsan_volatile_write##n(void* p) { access(p, n, SIM_WRITE, PC); }                    \
    EXPORT void __tsan_unaligned_read##n(void* p) { access_range(p, n, SIM_READ, PC); }               \
    EXPORT void __tsan_unaligned_write##n(void* p) { access_range(p, n, SIM_WRITE, PC); }             \
    EXPORT void __tsan_unaligned_volatile_read##n(void* p) { access_range(p, n, SIM_READ, PC); }      \
    EXPORT void __tsan_unaligned_volatile_write##n(void* p) { access_range(p, n, SIM_WRITE, PC); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
EXPORT void __tsan_read_range(void* p, size_t bytes) { access_range(p, bytes, SIM_READ, PC); }
EXPORT void __tsan_write_range(void* p, size_t bytes) { access_range(p, bytes, SIM_WRITE, PC); }
EXPORT void __tsan_vptr_update(void**, void*) {}
EXPORT void __tsan_vptr_read(void**) {}
// Atomic builtins in kernels; cuda_sim.h's own atomics are not instrumented, so these few serve plain __atomic_* uses.
#define ATOMIC_HOOKS(bits, type)                                                                     \
    EXPORT type __tsan_atomic##bits##_load(const volatile type* p, int) {                            \
        access(p, bits / 8, SIM_ATOMIC, PC);                                                         \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                 \
    }                                                                                                \
    EXPORT void __tsan_atomic##bits##_store(volatile type* p, type value, int) {                     \
        access(p, bits / 8, SIM_ATOMIC, PC);                                                         \
        __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                                \
    }                                                                                                \
    EXPORT type __tsan_atomic##bits##_fetch_add(volatile type* p, type value, int) {                 \
        access(p, bits / 8, SIM_ATOMIC, PC);                                                         \
        return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);                                       \
    }
ATOMIC_HOOKS(32, uint32_t)
ATOMIC_HOOKS(64, uint64_t)
EXPORT void __tsan_atomic_thread_fence(int) { sim_fence(); }
