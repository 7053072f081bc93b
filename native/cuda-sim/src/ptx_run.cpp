// ptx_run.cpp: loads PTX and runs it, a warp at a time. Of a warp's lanes those at the smallest pc run first, so that lanes which parted
// meet again; what lanes do together waits until all of them are there. Warps take turns at waits.
#include <sys/mman.h>

#include "ptx.hpp"

namespace sim::ptx {

Machine machine;

namespace {

std::string thread_name(unsigned thread) {
    const dim3 b = machine.launch->block;
    return "(" + std::to_string(thread % b.x) + "," + std::to_string(thread / b.x % b.y) + "," + std::to_string(thread / b.x / b.y) + ")";
}
std::string block_name() {
    const dim3 b = machine.block;
    return "kernel " + machine.kernel->name + ", block (" + std::to_string(b.x) + "," + std::to_string(b.y) + "," + std::to_string(b.z) +
           ")";
}
std::string place_of(const Instruction& i) {
    std::string text = " [" + std::string(i.name) + ", line " + std::to_string(i.line) + " of the PTX";
    const auto file = machine.kernel->text->files.find(i.place.file);
    if (file != machine.kernel->text->files.end()) text += ", " + file->second + ":" + std::to_string(i.place.line);
    return text + "]";
}
unsigned char* map_space(uint64_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    return static_cast<unsigned char*>(p);
}

} // namespace

unsigned char* parameter_space() {
    static unsigned char* space = map_space(PARAMETER_SPACE);
    return space;
}
unsigned char* shared_space() {
    static unsigned char* space = map_space(SHARED_END);
    return space;
}

[[noreturn]] void report(const Warp& w, const Instruction& i, unsigned lane, int code, const std::string& what) {
    throw Failure{code, block_name() + ", thread " + thread_name(w.number * LANES + lane) + ": " + what + place_of(i)};
}
[[noreturn]] void report(const Warp& w, unsigned lane, int code, const std::string& what) { report(w, *w.at, lane, code, what); }

std::string shared_place(uint32_t address) {
    if (address >= machine.dynamic_begin)
        return "byte " + std::to_string(address - machine.dynamic_begin) + " of the dynamic part (" +
               std::to_string(machine.shared_end - machine.dynamic_begin) + " bytes)";
    const Variable* below = nullptr;
    for (const Variable& v : machine.kernel->shared)
        if (v.offset <= address) below = &v;
    if (below == nullptr) return "address " + std::to_string(address) + " (no variable)";
    return "byte " + std::to_string(address - below->offset) + " of " + std::string(below->name) + " (" + std::to_string(below->bytes) +
           " bytes)";
}

namespace {

// ---- a warp

void add_group(Warp& w, uint32_t pc, uint32_t lanes, Wait wait, uint8_t barrier = 0) {
    for (unsigned n = 0; n < w.group_count; n++) { // lanes that come to where others are
        Group& g = w.groups[n];
        if (g.pc == pc && (g.wait == Wait::RUNS || g.wait == Wait::LANES_MISSING) && wait == Wait::RUNS) {
            g.lanes |= lanes, g.wait = Wait::RUNS;
            return;
        }
    }
    w.groups[w.group_count++] = {pc, lanes, wait, barrier};
}
// The running lanes with the smallest pc; false: all wait.
bool take_group(Warp& w, uint32_t* pc, uint32_t* lanes, uint32_t* stop) {
    unsigned best = LANES;
    for (unsigned n = 0; n < w.group_count; n++)
        if (w.groups[n].wait == Wait::RUNS && (best == LANES || w.groups[n].pc < w.groups[best].pc)) best = n;
    if (best == LANES) return false;
    *pc = w.groups[best].pc, *lanes = w.groups[best].lanes;
    w.groups[best] = w.groups[--w.group_count];
    *stop = UINT32_MAX; // where others are met
    for (unsigned n = 0; n < w.group_count;) {
        const Group& g = w.groups[n];
        const bool may_join = g.wait == Wait::RUNS || g.wait == Wait::LANES_MISSING;
        if (may_join && g.pc == *pc) {
            *lanes |= g.lanes;
            w.groups[n] = w.groups[--w.group_count];
            continue;
        }
        if (may_join && g.pc > *pc) *stop = std::min(*stop, g.pc);
        n++;
    }
    return true;
}

// Lanes at different instructions of the same kind that wait for each other.
bool join_syncs(Warp& w) {
    for (unsigned n = 0; n < w.group_count; n++) {
        const Instruction& i = machine.kernel->code[w.groups[n].pc];
        if (w.groups[n].wait != Wait::LANES_MISSING || i.kind != Kind::SYNC) continue;
        const uint32_t mask = in<uint32_t>(w, i.o[i.mask_at])[first(w.groups[n].lanes)];
        uint32_t here = 0;
        auto same = [&](const Group& g) {
            const Instruction& j = machine.kernel->code[g.pc];
            return g.wait == Wait::LANES_MISSING && j.kind == Kind::SYNC && in<uint32_t>(w, j.o[j.mask_at])[first(g.lanes)] == mask;
        };
        for (unsigned o = 0; o < w.group_count; o++)
            if (same(w.groups[o])) here |= w.groups[o].lanes;
        if ((mask & ~here) != 0) continue;
        for (unsigned o = 0; o < w.group_count; o++)
            if (same(w.groups[o])) w.groups[o].pc++, w.groups[o].wait = Wait::RUNS;
        next_tick(w);
        return true;
    }
    return false;
}

void check_mask(Warp& w, const Instruction& i, uint32_t lanes, uint32_t mask) {
    if ((mask & w.exited) != 0) report(w, i, first(mask & w.exited), LAUNCH_FAILED, "has exited, but lanes of its warp wait for it");
    if ((lanes & ~mask) != 0) report(w, i, first(lanes & ~mask), LAUNCH_FAILED, "is not in the mask that it gives");
}

void arrive_at_barrier(Warp& w, const Instruction& i, uint32_t pc, uint32_t lanes) {
    const unsigned lane = first(lanes), number = in<uint32_t>(w, i.o[0])[lane];
    const unsigned count = i.o[1] == NONE ? machine.threads : in<uint32_t>(w, i.o[1])[lane];
    if (number > 15 || count == 0 || count % LANES != 0 || count > machine.threads)
        report(w, i, lane, LAUNCH_FAILED, "barrier " + std::to_string(number) + " for " + std::to_string(count) + " threads");
    Barrier& b = machine.barriers[number];
    if (b.arrived > 0 && b.expected != count)
        report(w, i, lane, LAUNCH_FAILED,
               "comes to barrier " + std::to_string(number) + " for " + std::to_string(count) + " threads, where others wait for " +
                   std::to_string(b.expected));
    if (b.arrived == 0) b.seen.clear();
    b.seen.add(w.seen);
    b.seen.add(w.number, w.tick, 0);
    next_tick(w);
    b.expected = count;
    b.arrived += LANES;
    machine.events++;
    add_group(w, pc + 1, lanes, i.number == 0 ? Wait::AT_BARRIER : Wait::RUNS, uint8_t(number));
    if (b.arrived < count) return;
    b.arrived = 0;
    for (unsigned n = 0; n < machine.warp_count; n++) {
        Warp& other = machine.warps[n];
        for (unsigned g = 0; g < other.group_count; g++) {
            if (other.groups[g].wait != Wait::AT_BARRIER || other.groups[g].barrier != number) continue;
            other.groups[g].wait = Wait::RUNS;
            other.seen.add(b.seen);
        }
    }
}

// Until no lane can go on.
void run_warp(Warp& w) {
    const Instruction* const code = machine.kernel->code.data();
    for (unsigned n = 0; n < w.group_count; n++)
        if (w.groups[n].wait == Wait::POLLED) w.groups[n].wait = Wait::RUNS;
    const bool counting = machine.counting;
    uint32_t pc, lanes, stop;
    for (;;) {
        if (!take_group(w, &pc, &lanes, &stop)) {
            if (join_syncs(w)) continue;
            bool others = false;
            for (unsigned n = 0; n < w.group_count; n++) others = others || w.groups[n].wait != Wait::LANES_MISSING;
            if (others || w.group_count == 0) return;
            const Group& g = w.groups[0];
            w.at = &code[g.pc];
            const uint32_t mask = w.at->kind == Kind::ALIGNED || w.at->kind == Kind::BARRIER
                                      ? ALL & ~w.exited
                                      : in<uint32_t>(w, w.at->o[w.at->mask_at])[first(g.lanes)];
            report(w, first(g.lanes), LAUNCH_FAILED,
                   "waits for thread " + thread_name(w.number * LANES + first(mask & ~g.lanes)) +
                       " of its warp, which does not come: not all lanes reach a collective");
        }
        for (bool runs = true; runs;) {
            const Instruction& i = code[pc];
            uint32_t mask = lanes;
            if (i.guard >= 0) mask &= i.guard_negated ? ~w.predicates[i.guard] : w.predicates[i.guard];
            w.at = &i;
            if (counting) {
                machine.counts.warp_instructions++;
                machine.counts.lane_instructions += unsigned(__builtin_popcount(mask));
            }
            if (i.touches && mask != 0) touch(w, i);
            switch (i.kind) {
                case Kind::PLAIN:
                    if (mask != 0) i.run(w, i, mask);
                    pc++;
                    break;
                case Kind::BRANCH:
                    if (mask == 0)
                        pc++;
                    else if (mask == lanes && w.group_count == 0) {
                        if (i.target <= pc && abandon.load(std::memory_order_relaxed))
                            report(w, first(lanes), LAUNCH_FAILED, "abandoned by a reset");
                        pc = i.target;
                    } else {
                        if (mask != lanes) add_group(w, pc + 1, lanes & ~mask, Wait::RUNS);
                        add_group(w, i.target, mask, Wait::RUNS);
                        runs = false;
                        continue;
                    }
                    break;
                case Kind::EXIT:
                    if (mask != 0) {
                        end_lanes(w, mask);
                        w.exited |= mask;
                        machine.events++;
                    }
                    lanes &= ~mask;
                    pc++;
                    if (lanes == 0) {
                        runs = false;
                        continue;
                    }
                    break;
                case Kind::POLL:
                    w.polled = 0;
                    if (mask != 0) i.run(w, i, mask);
                    pc++;
                    if (w.polled != 0) {
                        add_group(w, pc, lanes, Wait::POLLED);
                        runs = false;
                        continue;
                    }
                    break;
                case Kind::ALIGNED:
                case Kind::BARRIER:
                case Kind::MASKED:
                case Kind::SYNC: {
                    if (mask == 0) {
                        pc++;
                        break;
                    }
                    uint32_t need = i.kind == Kind::ALIGNED   ? ALL
                                    : i.kind == Kind::BARRIER ? ~w.exited
                                                              : in<uint32_t>(w, i.o[i.mask_at])[first(mask)];
                    check_mask(w, i, mask, need);
                    if ((need & ~mask) != 0) { // perhaps the others come
                        if (mask != lanes)
                            report(w, i, first(lanes & ~mask), LAUNCH_FAILED,
                                   "passes over a collective that lanes of its warp wait for it at");
                        add_group(w, pc, lanes, Wait::LANES_MISSING);
                        runs = false;
                        continue;
                    }
                    if (i.kind == Kind::BARRIER) {
                        arrive_at_barrier(w, i, pc, lanes);
                        runs = false;
                        continue;
                    }
                    i.run(w, i, mask);
                    pc++;
                    break;
                }
            }
            if (pc >= stop) {
                add_group(w, pc, lanes, Wait::RUNS);
                runs = false;
            }
        }
    }
}

// ---- blocks

// Who waits for what, and who will never come.
std::string deadlock() {
    std::ostringstream out;
    out << block_name() << ": ";
    unsigned shown = 0;
    for (unsigned n = 0; n < machine.warp_count && shown < 6; n++) {
        const Warp& w = machine.warps[n];
        for (unsigned g = 0; g < w.group_count && shown < 6; g++) {
            const Instruction& i = machine.kernel->code[w.groups[g].pc - (w.groups[g].wait == Wait::LANES_MISSING ? 0 : 1)];
            out << (shown++ > 0 ? "; " : "") << "thread " << thread_name(n * LANES + first(w.groups[g].lanes)) << " and lanes with it wait"
                << place_of(i);
        }
        if (w.group_count == 0) out << (shown++ > 0 ? "; " : "") << "warp " << n << " has exited";
    }
    out << ": a barrier or phase that not all of its threads reach";
    return out.str();
}

void begin_block(dim3 block) {
    Machine& m = machine;
    m.block = block;
    std::memset(shared_space() + SHARED_BEGIN, 0xff, m.shared_end - SHARED_BEGIN);
    std::fill_n(m.states.begin(), m.dynamic_begin, uint8_t(NOBODYS));
    for (const Variable& v : m.kernel->shared) std::fill_n(m.states.begin() + v.offset, v.bytes, uint8_t(UNWRITTEN));
    std::fill(m.states.begin() + m.dynamic_begin, m.states.begin() + m.shared_end, uint8_t(UNWRITTEN));
    if (m.kernel->asynchronous) std::fill_n(m.writers.begin(), m.shared_end / 2, 0);
    if (m.races) std::fill_n(m.marks.begin(), m.shared_end / 2 + 1, Mark{});
    forget_global_accesses();
    std::fill_n(m.proxy_fences, m.threads, 0);
    m.mbarriers.clear();
    m.products = 0;
    for (Barrier& b : m.barriers) b.arrived = 0;
    for (auto& issues : m.issues) issues.clear();
    for (unsigned n = 0; n < m.warp_count; n++) {
        Warp& w = m.warps[n];
        w.exited = 0;
        w.group_count = 0;
        add_group(w, 0, ALL, Wait::RUNS);
        w.at = m.kernel->code.data();
        for (Lane& lane : w.lane) {
            lane.copies.clear(), lane.stores.clear();
            lane.copy_group = lane.store_group = 0;
        }
        w.products.clear();
        w.product_group = 0;
        w.fenced = false;
        w.issued = 0;
        w.tick = 2;
        w.seen.clear();
        std::fill(w.busy.begin(), w.busy.end(), 0);
        std::fill(w.touched.begin(), w.touched.end(), 0);
    }
}

void run_block(dim3 block) {
    Machine& m = machine;
    begin_block(block);
    std::vector<unsigned> order;
    unsigned idle = 0;
    for (;;) {
        order.clear();
        for (unsigned n = 0; n < m.warp_count; n++)
            if (m.warps[n].group_count > 0) order.push_back(n);
        if (order.empty()) break;
        if (settings.order == REVERSE)
            std::reverse(order.begin(), order.end());
        else if (settings.order == RANDOM)
            for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[m.random() % i]);
        const uint64_t before = m.events;
        for (unsigned n : order) {
            if (abandon.load(std::memory_order_relaxed)) throw Failure{LAUNCH_FAILED, block_name() + ": abandoned by a reset"};
            run_warp(m.warps[n]);
        }
        idle = m.events == before ? idle + 1 : 0;
        if (idle == 2) throw Failure{LAUNCH_FAILED, deadlock()};
    }
    end_block();
}

void begin_launch(const Launch& l, const Kernel& k) {
    Machine& m = machine;
    m.launch = &l;
    m.kernel = &k;
    m.threads = l.block.x * l.block.y * l.block.z;
    m.warp_count = m.threads / LANES;
    m.dynamic_begin = (SHARED_BEGIN + k.static_shared + k.dynamic_align - 1) / k.dynamic_align * k.dynamic_align;
    m.shared_end = m.dynamic_begin + l.shared_bytes;
    if (m.shared_end > SHARED_END) throw Failure{LAUNCH_FAILED, "kernel " + k.name + ": more shared memory than a block has"};
    m.states.resize(SHARED_END + 16);
    m.writers.resize(SHARED_END / 2 + 8);
    m.marks.resize(SHARED_END / 2 + 8);
    m.races = settings.check_races != 0;
    m.warps.resize(MAX_WARPS);
    m.events = 0;
    m.counting = settings.count_launches != 0;
    m.counts = Counts{};
    m.unfinished.clear();
    m.random.seed(uint64_t(settings.order_seed) * 0x9e3779b97f4a7c15u + 1);
    std::memcpy(parameter_space(), l.parameters.data(), l.parameters.size());
    for (unsigned n = 0; n < m.warp_count; n++) {
        Warp& w = m.warps[n];
        w.number = n;
        if (w.row_storage.size() < k.words + 16) w.row_storage.resize(k.words + 16);
        w.rows = reinterpret_cast<uint32_t*>((reinterpret_cast<uint64_t>(w.row_storage.data()) + 63) / 64 * 64);
        std::memset(w.rows, 0xff, k.words * sizeof(uint32_t)); // nobody's values
        w.predicate_storage.assign(k.predicates, 0);
        w.predicates = w.predicate_storage.data();
        w.predicates[1] = ALL;
        w.constants = k.constants.data();
        w.busy.assign(k.wgmma_rows, 0);
        w.touched.assign(k.wgmma_rows, 0);
    }
}

void run_blocks(const Launch& l) {
    const uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
    std::vector<uint32_t> shuffled;
    if (settings.order == RANDOM && blocks <= UINT32_MAX) {
        shuffled.resize(blocks);
        for (uint64_t i = 0; i < blocks; i++) shuffled[i] = uint32_t(i);
        for (uint64_t i = blocks; i > 1; i--) std::swap(shuffled[i - 1], shuffled[machine.random() % i]);
    }
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = settings.order == REVERSE ? blocks - 1 - i : shuffled.empty() ? i : shuffled[i];
        run_block({unsigned(b % l.grid.x), unsigned(b / l.grid.x % l.grid.y), unsigned(b / l.grid.x / l.grid.y)});
    }
    end_launch();
}

std::mutex counts_mutex;
std::string all_counts; // guarded by it

void note_counts(const Launch& l) {
    const Counts& c = machine.counts;
    std::ostringstream line;
    line << "kernel=" << machine.kernel->name << " grid=" << l.grid.x << "," << l.grid.y << "," << l.grid.z << " block=" << l.block.x << ","
         << l.block.y << "," << l.block.z << " warp_instructions=" << c.warp_instructions << " lane_instructions=" << c.lane_instructions
         << " global_accesses=" << c.global_accesses << " global_bytes=" << c.global_bytes << " global_sectors=" << c.global_sectors
         << " shared_accesses=" << c.shared_accesses << " shared_passes=" << c.shared_passes << " shared_conflicts=" << c.shared_conflicts
         << " tensor_operations=" << c.tensor_operations << "\n";
    std::lock_guard<std::mutex> guard(counts_mutex);
    all_counts += line.str();
}

// Whether a device runs code for a target: "sm_80" those of 8.0 and newer, "sm_90a" that of 9.0.
bool runs_on_device(const std::string& target) {
    if (target.compare(0, 3, "sm_") != 0) return false;
    const int64_t number = std::strtol(target.c_str() + 3, nullptr, 10), device = settings.major * 10 + settings.minor;
    return target.back() == 'a' ? number == device : number <= device;
}

} // namespace

int capability(const Image& image) { return std::stoi(image.text.target.substr(image.text.target.find('_') + 1)); }

Failure load(const char* text, std::shared_ptr<const Image>* out) {
    static std::vector<std::shared_ptr<const Image>> known; // tests load the same few texts again and again
    std::shared_ptr<const Image> found;
    const size_t length = std::strlen(text);
    for (const auto& image : known)
        if (image->text.text.size() == length && std::memcmp(image->text.text.data(), text, length) == 0) found = image;
    if (found == nullptr) {
        auto image = std::make_shared<Image>();
        image->text.text.assign(text, length);
        try {
            parse(image->text);
            for (const Source& s : image->text.sources)
                if (s.entry) image->kernels.emplace(std::string(s.name), compile(image->text, s));
        } catch (const Refusal& r) {
            return Failure{INVALID_PTX, "the PTX, line " + std::to_string(r.line) + ": " + r.why};
        }
        if (known.size() == 4) known.erase(known.begin());
        known.push_back(image);
        found = image;
    }
    if (!runs_on_device(found->text.target))
        return Failure{NO_BINARY_FOR_GPU, "the PTX is for " + found->text.target + ", which a device of compute capability " +
                                              std::to_string(settings.major) + "." + std::to_string(settings.minor) + " does not run"};
    *out = found;
    return Failure{};
}

std::string counts_text() {
    std::lock_guard<std::mutex> guard(counts_mutex);
    return all_counts;
}
void forget_counts() {
    std::lock_guard<std::mutex> guard(counts_mutex);
    all_counts.clear();
}

std::shared_ptr<Function> find(const std::shared_ptr<Module>& module, const char* name) {
    const auto found = module->ptx->kernels.find(name);
    if (found == module->ptx->kernels.end()) return nullptr;
    const Kernel& k = found->second;
    auto function = std::make_shared<Function>();
    function->module = module;
    function->name = name;
    for (const Variable& v : k.parameters) function->parameters.push_back({v.offset, v.bytes});
    function->max_threads = k.max_threads;
    function->static_shared = k.static_shared;
    return function;
}

Failure run(const Launch& l) {
    const Kernel& k = l.function->module->ptx->kernels.at(l.function->name);
    try {
        begin_launch(l, k);
        run_blocks(l);
        if (machine.counting) note_counts(l);
    } catch (const Failure& failure) {
        return failure;
    }
    return Failure{};
}

} // namespace sim::ptx
