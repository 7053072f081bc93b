// exec.cpp: runs a kernel. The threads of a block are fibers of the calling thread; blocks run one after the other.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "machine.hpp"

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

namespace {

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

} // namespace

void wait(const char* what) {
    Fiber* me = m.current;
    me->state = WAITING;
    me->waits_for = what;
    void* next = next_context();
    sim_switch(&me->sp, next);
}

namespace {

extern "C" void sim_fiber_main() {
    m.launch->function->info->run(m.parameters.data());
    Fiber* me = m.current;
    end_hopper_thread(*me);
    me->state = EXITED;
    warp_of(*me).exited |= 1u << me->linear % LANES;
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
    begin_hopper_block();
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

Failure run_launch(const Launch& l) {
    Failure fault;
    if (take_kernel_fault(l.function->name, &fault)) return fault;
    counters.kernels++;
    const unsigned threads = l.block.x * l.block.y * l.block.z;
    if (threads % LANES != 0 || l.block.x % LANES != 0)
        return Failure{LAUNCH_FAILED, "kernel " + l.function->name + ": block " + coordinates(l.block) +
                                          " is not made of whole warps along x, which is a rule of our kernels"};
    if (l.function->module->ptx != nullptr) return ptx::run(l);
    if (!start_machine()) return Failure{OUT_OF_MEMORY, "no host memory for the simulated machine"};
    m.launch = &l;
    m.launch_number++;
    m.threads = threads;
    m.failure = Failure{};
    m.bounds = settings.check_bounds != 0;
    m.races = settings.check_races != 0;
    m.global_races = m.bounds && settings.check_global_races != 0;
    m.random.seed(uint64_t(settings.order_seed) * 0x9e3779b97f4a7c15u + 1);
    m.parameters.clear();
    for (const Parameter& p : l.function->parameters) m.parameters.push_back(const_cast<unsigned char*>(l.parameters.data()) + p.offset);
    const uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
    if (m.global_races) begin_global_checks(blocks);
    std::vector<uint32_t> shuffled;
    if (settings.order == RANDOM && blocks <= UINT32_MAX) {
        shuffled.resize(blocks);
        for (uint64_t i = 0; i < blocks; i++) shuffled[i] = uint32_t(i);
        for (uint64_t i = blocks; i > 1; i--) std::swap(shuffled[i - 1], shuffled[m.random() % i]);
    }
    for (uint64_t i = 0; i < blocks && m.failure.code == OK && !abandon; i++) {
        const uint64_t b = settings.order == REVERSE ? blocks - 1 - i : shuffled.empty() ? i : shuffled[i];
        m.block_linear = uint32_t(b);
        run_block({unsigned(b % l.grid.x), unsigned(b / l.grid.x % l.grid.y), unsigned(b / l.grid.x / l.grid.y)});
    }
    return m.failure;
}

} // namespace sim
