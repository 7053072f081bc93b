// exec.cpp: runs a kernel. The threads of a block are fibers of the calling thread; blocks run one after the other. Loads and
// stores of instrumented kernels arrive at the __tsan hooks below and are checked before they happen.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "sim.hpp"
#include "where.hpp"

// Saves the callee-saved registers of the running fiber and resumes another; r15 is the sim_current of kernels.
asm(R"(
.text
.globl sim_switch
.hidden sim_switch
.type sim_switch, @function
sim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size sim_switch, .-sim_switch
)");
extern "C" __attribute__((visibility("hidden"))) void sim_switch(void** save, void* resume);

namespace sim {

std::atomic<bool> abandon{false};

namespace {

constexpr unsigned MAX_THREADS = 1024, LANES = 32;
constexpr uint64_t STACK_BYTES = 256 << 10, GUARD_BYTES = 4096; // a guard page below each stack
constexpr uint64_t MAX_SHARED = 256 << 10;

// A stamp says who touched a byte of shared memory, and when:
// epoch (28 bits, a block barrier or a new block begins one) | sync (24, the warp's __syncwarp count) | thread (10) | flags (2)
constexpr uint64_t ATOMIC = 1, IN_FLIGHT = 2;
constexpr unsigned EPOCH_BITS = 28;
inline uint64_t epoch_of(uint64_t stamp) { return stamp >> 36; }
inline uint64_t sync_of(uint64_t stamp) { return stamp >> 12 & 0xffffff; }
inline unsigned thread_of(uint64_t stamp) { return unsigned(stamp >> 2 & 1023); }

constexpr char BARRIER[] = "__syncthreads", SYNC_WARP[] = "__syncwarp", GATHER[] = "a shuffle or vote", MMA[] = "mma", LDMATRIX[] = "ldmatrix";

enum State : uint8_t { READY, WAITING, EXITED };

struct AsyncCopy {
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

struct Warp {
    unsigned arrived, exited;
    const char* kind; // of the collective that the first lane came to
    unsigned bytes;
    unsigned parity;
    uint64_t sync;
    const void *a[LANES], *b[LANES];
    void* d[LANES];
    alignas(64) unsigned char slots[2][LANES * SIM_SLOT];
};

// The one kernel that runs.
struct Machine {
    Fiber fibers[MAX_THREADS];
    Warp warps[MAX_THREADS / LANES];
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
    std::vector<void*> parameters;
    Failure failure;
    bool bounds = true, races = true, global_races = false;
    uint64_t launch_number = 0;
};
Machine m;

std::string coordinates(dim3 d) {
    return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}
std::string thread_name(unsigned linear) {
    const dim3 b = m.launch->block;
    return "thread " + coordinates({linear % b.x, linear / b.x % b.y, linear / b.x / b.y});
}
std::string here() {
    return "kernel " + m.launch->function->name + ", block " + coordinates(m.block) + ", " + thread_name(m.current->linear);
}

[[noreturn]] void stop(int code, const std::string& text) {
    m.failure = Failure{code, text};
    void* never;
    sim_switch(&never, m.scheduler); // the fibers of this block are never resumed
    __builtin_unreachable();
}

// ---- scheduling -----------------------------------------------------------------------------------------------------------

void make_ready(Fiber& f) {
    f.state = READY;
    m.ready[f.linear / 64] |= uint64_t(1) << f.linear % 64;
}

// Everyone who became ready since the last round runs in the next one, in the chosen order.
bool new_round() {
    m.round_at = m.round_count = 0;
    for (unsigned w = 0; w * 64 < m.threads; w++) {
        for (uint64_t bits = m.ready[w]; bits != 0; bits &= bits - 1)
            m.round[m.round_count++] = &m.fibers[w * 64 + __builtin_ctzll(bits)];
        m.ready[w] = 0;
    }
    if (settings.order == REVERSE) std::reverse(m.round, m.round + m.round_count);
    else if (settings.order == RANDOM)
        for (unsigned i = m.round_count; i > 1; i--) std::swap(m.round[i - 1], m.round[m.random() % i]);
    return m.round_count > 0;
}

void* next_context() {
    if (m.round_at == m.round_count && (abandon.load(std::memory_order_relaxed) || !new_round())) {
        m.current = nullptr;
        return m.scheduler;
    }
    m.current = m.round[m.round_at++];
    m.stack_low = m.current->stack;
    return m.current->sp;
}

void wait(const char* what) {
    Fiber* me = m.current;
    me->state = WAITING;
    me->waits_for = what;
    void* next = next_context();
    sim_switch(&me->sp, next);
}

extern "C" void sim_fiber_main() {
    m.launch->function->info->run(m.parameters.data());
    Fiber* me = m.current;
    me->state = EXITED;
    m.warps[me->linear / LANES].exited |= 1u << me->linear % LANES;
    m.left--;
    sim_switch(&me->sp, next_context());
    __builtin_unreachable();
}

// Who waits for what, and who will never come.
std::string deadlock() {
    std::ostringstream out;
    out << "kernel " << m.launch->function->name << ", block " << coordinates(m.block) << ": ";
    unsigned shown = 0;
    for (unsigned t = 0; t < m.threads && shown < 6;) {
        const Fiber& f = m.fibers[t];
        unsigned end = t + 1;
        auto same = [&](const Fiber& g) {
            return g.state == f.state && (f.state != WAITING || g.waits_for == f.waits_for);
        };
        while (end < m.threads && same(m.fibers[end])) end++;
        out << (shown++ > 0 ? "; " : "") << thread_name(t);
        if (end > t + 1) out << " to " << thread_name(end - 1);
        if (f.state == WAITING) out << " wait" << (end == t + 1 ? "s" : "") << " at " << f.waits_for;
        else out << (end == t + 1 ? " has" : " have") << " exited";
        t = end;
    }
    out << ": a barrier or collective that not all of its threads reach";
    return out.str();
}

// ---- shared memory: races and first use ---------------------------------------------------------------------------------

inline uint64_t stamp_of(const Fiber& f) {
    return m.epoch << 36 | (m.warps[f.linear / LANES].sync & 0xffffff) << 12 | uint64_t(f.linear) << 2;
}
inline bool ordered(uint64_t before, uint64_t now) {
    return epoch_of(before) < epoch_of(now) || thread_of(before) == thread_of(now) ||
           (thread_of(before) / LANES == thread_of(now) / LANES && sync_of(before) < sync_of(now));
}

struct Shadow {
    uint64_t begin;
    std::vector<Cell>&words, &bytes;
};

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
    if (written && (c.write & IN_FLIGHT) != 0 && (now & IN_FLIGHT) == 0)
        shared_problem("which a cp.async is under way to that has not been waited for, issued by ", verbs[kind], address, bytes, s,
                       c.write, pc);
    if (kind != SIM_WRITE && !written)
        shared_problem("which no thread of this block has written", verbs[kind], address, bytes, s, 0, pc);
    const bool both_atomic = kind == SIM_ATOMIC && (c.write & ATOMIC) != 0;
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

void global_access(Allocation& a, uint64_t address, unsigned bytes, int kind, const void* pc);

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

inline void access(const volatile void* p, unsigned bytes, int kind, const void* pc) {
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    if (address - m.stack_low < STACK_BYTES || m.current == nullptr || !m.bounds) return;
    checked(address, bytes, kind, pc);
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
uint32_t block_linear = 0;

uint64_t launch_part(uint64_t entry) { return entry >> 40; }
uint32_t block_part(uint64_t entry) { return uint32_t(entry >> 5 & 0x7ffffffff); }

void global_access(Allocation& a, uint64_t address, unsigned bytes, int kind, const void* pc) {
    if (a.pinned) return;
    uint64_t* shadow = shadow_of(a);
    if (shadow == nullptr) return;
    BlockOrder& mine = block_orders[block_linear];
    if (kind == SIM_ATOMIC) {
        mine.acquired = true; // what others published before their atomics is seen after this one
        if (mine.fenced) mine.published = true;
    }
    for (uint64_t at = address; at < address + bytes; at = (at | 3) + 1) {
        uint64_t* entry = shadow + (at - a.begin) / 4 * 2;
        unsigned mask = 0;
        for (uint64_t b = at; b < address + bytes && b <= (at | 3); b++) mask |= 1u << (b & 3);
        const uint64_t me = (m.launch_number & 0xffffff) << 40 | uint64_t(block_linear) << 5 | mask << 1 | (kind == SIM_ATOMIC ? 1 : 0);
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

// ---- a warp's collectives --------------------------------------------------------------------------------------------------

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

Warp& my_warp() { return m.warps[m.current->linear / LANES]; }

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
        for (unsigned w = 0; w * LANES < m.threads; w++) m.warps[w].sync = 0;
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
    const Shadow s = dynamic ? Shadow{shared, m.words, m.bytes} : Shadow{module.shared_begin, module.words, module.bytes};
    if (in_flight) shared_access(s, address, c.bytes, SIM_WRITE, stamp_of(*m.current) | IN_FLIGHT, pc);
    else {
        for (uint64_t at = address; at < address + c.bytes; at++) { // it was this thread's all the time
            const uint64_t i = at - s.begin;
            (s.words[i / 4].split == m.block_number ? s.bytes[i] : s.words[i / 4]).write = stamp_of(*m.current);
        }
    }
}

// ---- blocks and grids ---------------------------------------------------------------------------------------------------------

bool start_machine() {
    if (m.stacks != nullptr) return true;
    const uint64_t bytes = MAX_THREADS * (STACK_BYTES + GUARD_BYTES);
    void* stacks = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void* shared = mmap(nullptr, MAX_SHARED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED || shared == MAP_FAILED) return false;
    m.stacks = static_cast<unsigned char*>(stacks);
    m.shared = static_cast<unsigned char*>(shared);
    for (unsigned t = 0; t < MAX_THREADS; t++) {
        unsigned char* low = m.stacks + t * (STACK_BYTES + GUARD_BYTES);
        mprotect(low, GUARD_BYTES, PROT_NONE);
        m.fibers[t].stack = reinterpret_cast<uint64_t>(low) + GUARD_BYTES;
        m.fibers[t].linear = t;
        // Its sim_thread lies on top of its stack, so that reading it costs one comparison in the hooks.
        m.fibers[t].self = reinterpret_cast<sim_thread*>(m.fibers[t].stack + STACK_BYTES - 128);
    }
    m.words.resize(MAX_SHARED / 4);
    m.bytes.resize(MAX_SHARED);
    return true;
}

void run_block(dim3 block) {
    const Launch& l = *m.launch;
    m.block = block;
    m.left = m.threads;
    m.block_number++;
    m.first_epoch = ++m.epoch;
    m.barrier_arrived = m.barrier_parity = 0;
    m.barrier_or[0] = m.barrier_count[0] = 0;
    m.barrier_and[0] = 1;
    Module& module = *l.function->module;
    if (m.epoch > (uint64_t(1) << EPOCH_BITS) - (1 << 24)) { // stamps would overflow within a block: forget all
        std::fill(m.words.begin(), m.words.end(), Cell{});
        std::fill(module.words.begin(), module.words.end(), Cell{});
        m.first_epoch = m.epoch = 1;
    }
    std::memset(m.shared, 0xff, l.shared_bytes);
    std::memset(reinterpret_cast<void*>(module.shared_begin), 0xff, module.shared_end - module.shared_begin);
    for (unsigned w = 0; w * LANES < m.threads; w++) {
        Warp& warp = m.warps[w];
        warp.arrived = warp.exited = 0;
        warp.sync = 0;
    }
    for (unsigned t = 0; t < m.threads; t++) {
        Fiber& f = m.fibers[t];
        *f.self = sim_thread{{t % l.block.x, t / l.block.x % l.block.y, t / l.block.x / l.block.y}, block, l.block, l.grid, t % LANES,
                             t / LANES, m.shared};
        f.open_group = 0;
        f.copies.clear();
        // What sim_switch pops: r15..rbp, then the return into sim_fiber_main, whose stack is aligned as after a call.
        uint64_t* sp = reinterpret_cast<uint64_t*>(f.self) - 10;
        std::memset(sp, 0, 10 * sizeof *sp);
        sp[0] = reinterpret_cast<uint64_t>(f.self);
        sp[6] = reinterpret_cast<uint64_t>(&sim_fiber_main);
        f.sp = sp;
        make_ready(f);
    }
    m.round_at = m.round_count = 0;
    void* first = next_context();
    if (first != m.scheduler || m.current != nullptr) sim_switch(&m.scheduler, first);
    m.current = nullptr;
    m.stack_low = 0;
    if (m.failure.code == OK && m.left > 0 && !abandon) m.failure = Failure{LAUNCH_FAILED, deadlock()};
    if (m.left > 0) std::memset(m.ready, 0, sizeof m.ready);
}

} // namespace

void forget_shadows() {
    if (shadows_used > KEPT_SHADOW_BYTES) madvise(shadows + KEPT_SHADOW_BYTES, shadows_used - KEPT_SHADOW_BYTES, MADV_DONTNEED);
    shadows_used = 0;
}

Failure run_launch(const Launch& l) {
    Failure fault;
    if (take_kernel_fault(l.function->name, &fault)) return fault;
    if (!start_machine()) return Failure{OUT_OF_MEMORY, "no host memory for the simulated machine"};
    counters.kernels++;
    m.launch = &l;
    m.launch_number++;
    m.threads = l.block.x * l.block.y * l.block.z;
    if (m.threads % LANES != 0 || l.block.x % LANES != 0)
        return Failure{LAUNCH_FAILED, "kernel " + l.function->name + ": block " + coordinates(l.block) +
                                          " is not made of whole warps along x, which is a rule of our kernels"};
    m.failure = Failure{};
    m.bounds = settings.check_bounds != 0;
    m.races = settings.check_races != 0;
    m.global_races = m.bounds && settings.check_global_races != 0;
    m.random.seed(uint64_t(settings.order_seed) * 0x9e3779b97f4a7c15u + 1);
    m.parameters.clear();
    for (unsigned i = 0, at = 0; i < l.function->info->parameter_count; i++) {
        m.parameters.push_back(const_cast<unsigned char*>(l.parameters.data()) + at);
        at += (l.function->info->parameter_bytes[i] + 15) / 16 * 16;
    }
    const uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
    if (m.global_races) block_orders.assign(blocks, BlockOrder{});
    std::vector<uint32_t> shuffled;
    if (settings.order == RANDOM && blocks <= UINT32_MAX) {
        shuffled.resize(blocks);
        for (uint64_t i = 0; i < blocks; i++) shuffled[i] = uint32_t(i);
        for (uint64_t i = blocks; i > 1; i--) std::swap(shuffled[i - 1], shuffled[m.random() % i]);
    }
    for (uint64_t i = 0; i < blocks && m.failure.code == OK && !abandon; i++) {
        const uint64_t b = settings.order == REVERSE ? blocks - 1 - i : shuffled.empty() ? i : shuffled[i];
        block_linear = uint32_t(b);
        run_block({unsigned(b % l.grid.x), unsigned(b / l.grid.x % l.grid.y), unsigned(b / l.grid.x / l.grid.y)});
    }
    return m.failure;
}

} // namespace sim

using namespace sim;

#define PC __builtin_return_address(0)

EXPORT void sim_access(const volatile void* p, unsigned bytes, int kind) { access(p, bytes, kind, PC); }
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
EXPORT void sim_fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (m.global_races) block_orders[block_linear].fenced = true;
}
EXPORT void sim_store_release(int64_t* p, int64_t value) {
    access(p, sizeof *p, SIM_WRITE, PC);
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
EXPORT void sim_trap(const char* why) { stop(ASSERT, here() + ": " + why + where(PC)); }
EXPORT long long sim_clock() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

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
