// ptx_memory.cpp: loads, stores, cp.async and ldmatrix, each address checked before it is used.
#include "ptx.hpp"

namespace sim::ptx {

namespace {

constexpr const char* VERBS[] = {"read", "write", "atomic access"};

std::string size_text(uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

[[noreturn]] void misaligned(const Warp& w, unsigned lane, uint64_t bytes, const std::string& where) {
    report(w, lane, MISALIGNED_ADDRESS, "an access of " + size_text(bytes) + " at " + where + " is not aligned to its size");
}

bool in_parameter_space(uint64_t address) { return address - reinterpret_cast<uint64_t>(parameter_space()) < PARAMETER_SPACE; }

void count_host_bytes(const Allocation& a, uint64_t bytes, int kind) {
    if (!a.pinned) return;
    if (kind != WRITE) counters.kernel_host_read_bytes += int64_t(bytes);
    if (kind != READ) counters.kernel_host_written_bytes += int64_t(bytes);
}

// ---- shared memory

[[noreturn]] void shared_problem(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, int kind, const std::string& what) {
    report(w, lane, LAUNCH_FAILED,
           std::string(VERBS[kind]) + " of " + size_text(bytes) + " of shared memory, " + shared_place(address) + ", " + what);
}

// A byte that is not plainly there for reading, or for writing.
void shared_state_problem(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, int kind) {
    for (uint32_t at = address; at < address + bytes; at++) switch (machine.states[at]) {
            case UNWRITTEN:
                if (kind != WRITE) shared_problem(w, lane, address, bytes, kind, "which no thread of this block has written");
                break;
            case IN_FLIGHT:
                shared_problem(w, lane, address, bytes, kind, "which an asynchronous copy is under way to that has not been waited for");
            case NOBODYS:
                report(
                    w, lane, ILLEGAL_ADDRESS,
                    std::string(VERBS[kind]) + " of " + size_text(bytes) + " out of bounds, at " + shared_place(at) + " of shared memory");
            case MBARRIER: shared_problem(w, lane, address, bytes, kind, "which is an mbarrier");
            case BEING_READ:
                if (kind != READ) shared_problem(w, lane, address, bytes, kind, "which a bulk copy that was not waited for reads");
                break;
            default: break;
        }
}

inline void check_shared(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, int kind) {
    if (address < SHARED_BEGIN || address + bytes > machine.shared_end || address + bytes < address)
        shared_at(w, lane, address, bytes, kind);
    if (address % bytes != 0) misaligned(w, lane, bytes, shared_place(address) + " of shared memory");
}
template <uint32_t BYTES>
inline void read_shared(const Warp& w, unsigned lane, uint32_t address, void* to) {
    check_shared(w, lane, address, BYTES, READ);
    static const struct Ones {
        uint8_t of[16];
        Ones() { std::memset(of, WRITTEN, 16); }
    } ones;
    if (std::memcmp(&machine.states[address], ones.of, BYTES) != 0) shared_state_problem(w, lane, address, BYTES, READ);
    check_read(w, lane, address, BYTES);
    std::memcpy(to, shared_space() + address, BYTES);
}
inline uint32_t writer_of(const Warp& w, unsigned lane) {
    const uint32_t thread = w.number * LANES + lane;
    return thread << 21 | (machine.proxy_fences[thread] + 1);
}
inline void written(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    std::memset(&machine.states[address], WRITTEN, bytes);
    if (!machine.kernel->asynchronous) return;
    const uint32_t writer = writer_of(w, lane);
    for (uint32_t half = address / 2; half <= (address + bytes - 1) / 2; half++) machine.writers[half] = writer;
}
template <uint32_t BYTES>
inline void write_shared(const Warp& w, unsigned lane, uint32_t address, const void* from) {
    check_shared(w, lane, address, BYTES, WRITE);
    for (uint32_t at = address; at < address + BYTES; at++)
        if (machine.states[at] > WRITTEN) shared_state_problem(w, lane, address, BYTES, WRITE);
    check_write(w, lane, address, BYTES, WRITE);
    std::memcpy(shared_space() + address, from, BYTES);
    written(w, lane, address, BYTES);
}

// ---- counts

unsigned count_distinct(uint64_t* values, unsigned n) {
    std::sort(values, values + n);
    return unsigned(std::unique(values, values + n) - values);
}
void count_global(const uint64_t* addresses, uint32_t lanes, uint32_t bytes) { // aligned, so that a lane's bytes lie in one sector of 32
    if (!machine.counting || lanes == 0) return;
    uint64_t sectors[LANES];
    unsigned n = 0;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) sectors[n++] = addresses[first(rest)] / 32;
    machine.counts.global_accesses++;
    machine.counts.global_bytes += uint64_t(n) * bytes;
    machine.counts.global_sectors += count_distinct(sectors, n);
}
template <typename F>
void count_shared(uint32_t lanes, uint32_t bytes, F address_of) {
    if (!machine.counting || lanes == 0) return;
    const unsigned together = bytes == 16 ? 8 : bytes == 8 ? 16 : 32; // lanes of a pass
    machine.counts.shared_accesses++;
    for (unsigned begin = 0; begin < LANES; begin += together) {
        uint64_t words[LANES];
        unsigned n = 0, in_bank[32] = {}, most = 0;
        for (unsigned l = begin; l < begin + together; l++)
            if (lanes >> l & 1)
                for (uint32_t at = address_of(l) / 4; at <= (address_of(l) + bytes - 1) / 4; at++) words[n++] = at;
        if (n == 0) continue;
        n = count_distinct(words, n);
        for (unsigned i = 0; i < n; i++) most = std::max(most, ++in_bank[words[i] % 32]);
        machine.counts.shared_passes += most;
        machine.counts.shared_conflicts += most - 1;
    }
}

// ---- addresses of a warp

struct Addresses {
    uint64_t of[LANES];
};
inline void read_addresses(Addresses& a, const Warp& w, const int32_t* o) {
    const uint64_t* base = in<uint64_t>(w, o[0]);
    const uint64_t offset = uint64_t(int64_t(o[1]));
    for (unsigned l = 0; l < LANES; l++) a.of[l] = base[l] + offset;
}
// Whether all lanes' bytes lie in one live allocation, aligned: so nearly always. If not, each lane is looked at by itself.
inline bool together(const Warp& w, const Addresses& a, uint32_t lanes, uint32_t bytes, Access kind) {
    uint64_t low = UINT64_MAX, high = 0, any = 0;
    for (unsigned l = 0; l < LANES; l++) {
        const bool on = lanes >> l & 1;
        low = on && a.of[l] < low ? a.of[l] : low;
        high = on && a.of[l] > high ? a.of[l] : high;
        any |= on ? a.of[l] : 0;
    }
    if ((any & (bytes - 1)) != 0 || range_begin == 0) return false;
    const Allocation* allocation = allocation_at(low);
    if (allocation == nullptr || !allocation->live || low < allocation->begin || high - allocation->begin + bytes > allocation->bytes)
        return false;
    count_host_bytes(*allocation, uint64_t(bytes) * unsigned(__builtin_popcount(lanes)), kind);
    if (machine.races)
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) check_global(w, first(rest), a.of[first(rest)], bytes, kind);
    return true;
}

// COUNT elements of E each lane, to registers of 32 bits or more, or, WIDE, of 64.
template <typename E, unsigned COUNT, bool WIDE = false>
inline void give(const Warp& w, const int32_t* o, unsigned lane, const unsigned char* from) {
    for (unsigned n = 0; n < COUNT; n++) {
        E e;
        std::memcpy(&e, from + n * sizeof(E), sizeof(E));
        if constexpr (WIDE)
            out<uint64_t>(w, o[n])[lane] = uint64_t(int64_t(e));
        else if constexpr (sizeof(E) < 4)
            out<uint32_t>(w, o[n])[lane] = uint32_t(int32_t(e));
        else
            out<E>(w, o[n])[lane] = e;
    }
}
template <typename E, unsigned COUNT>
inline void collect(const Warp& w, const int32_t* o, unsigned lane, unsigned char* to) {
    for (unsigned n = 0; n < COUNT; n++) {
        const E e = E(in<E>(w, o[n])[lane]);
        std::memcpy(to + n * sizeof(E), &e, sizeof(E));
    }
}

template <typename E, unsigned COUNT, bool GENERIC, bool WIDE = false>
void load(Warp& w, const Instruction& i, uint32_t lanes) {
    constexpr uint32_t BYTES = sizeof(E) * COUNT;
    Addresses a;
    read_addresses(a, w, i.o + COUNT);
    count_global(a.of, lanes, BYTES);
    if (together(w, a, lanes, BYTES, READ))
        return each(lanes, [&](unsigned l) { give<E, COUNT, WIDE>(w, i.o, l, reinterpret_cast<const unsigned char*>(a.of[l])); });
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        unsigned char data[BYTES];
        if (GENERIC && in_shared_space(a.of[l]))
            read_shared<BYTES>(w, l, uint32_t(a.of[l] - reinterpret_cast<uint64_t>(shared_space())), data);
        else if (GENERIC && in_parameter_space(a.of[l]))
            std::memcpy(data, reinterpret_cast<const void*>(a.of[l]), BYTES);
        else
            std::memcpy(data, accessed(w, l, a.of[l], BYTES, READ), BYTES);
        give<E, COUNT, WIDE>(w, i.o, l, data);
    }
}
template <typename E, unsigned COUNT, bool GENERIC>
void store(Warp& w, const Instruction& i, uint32_t lanes) {
    constexpr uint32_t BYTES = sizeof(E) * COUNT;
    machine.events++;
    Addresses a;
    read_addresses(a, w, i.o);
    count_global(a.of, lanes, BYTES);
    if (together(w, a, lanes, BYTES, WRITE))
        return each(lanes, [&](unsigned l) { collect<E, COUNT>(w, i.o + 2, l, reinterpret_cast<unsigned char*>(a.of[l])); });
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        unsigned char data[BYTES];
        collect<E, COUNT>(w, i.o + 2, l, data);
        if (GENERIC && in_shared_space(a.of[l]))
            write_shared<BYTES>(w, l, uint32_t(a.of[l] - reinterpret_cast<uint64_t>(shared_space())), data);
        else
            std::memcpy(accessed(w, l, a.of[l], BYTES, WRITE), data, BYTES);
    }
}
// red: four f32 of a lane at once, each an addition of its own
void add_four(Warp& w, const Instruction& i, uint32_t lanes) {
    machine.events++;
    Addresses a;
    read_addresses(a, w, i.o);
    count_global(a.of, lanes, 16);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        float sums[4], more[4];
        collect<uint32_t, 4>(w, i.o + 2, l, reinterpret_cast<unsigned char*>(more));
        unsigned char* at = accessed(w, l, a.of[l], sizeof sums, ATOMIC);
        std::memcpy(sums, at, sizeof sums);
        for (unsigned n = 0; n < 4; n++) sums[n] += more[n];
        std::memcpy(at, sums, sizeof sums);
    }
}
template <typename E, unsigned COUNT, bool WIDE = false>
void load_shared(Warp& w, const Instruction& i, uint32_t lanes) {
    const uint32_t* base = in<uint32_t>(w, i.o[COUNT]);
    uint32_t addresses[LANES]; // the base may be a result, too
    for (unsigned l = 0; l < LANES; l++) addresses[l] = base[l] + uint32_t(i.o[COUNT + 1]);
    count_shared(lanes, sizeof(E) * COUNT, [&](unsigned l) { return addresses[l]; });
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        unsigned char data[sizeof(E) * COUNT];
        read_shared<sizeof data>(w, l, addresses[l], data);
        give<E, COUNT, WIDE>(w, i.o, l, data);
    }
}
template <typename E, unsigned COUNT>
void store_shared(Warp& w, const Instruction& i, uint32_t lanes) {
    machine.events++;
    const uint32_t* base = in<uint32_t>(w, i.o[0]);
    count_shared(lanes, sizeof(E) * COUNT, [&](unsigned l) { return base[l] + uint32_t(i.o[1]); });
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        unsigned char data[sizeof(E) * COUNT];
        collect<E, COUNT>(w, i.o + 2, l, data);
        write_shared<sizeof data>(w, l, base[l] + uint32_t(i.o[1]), data);
    }
}
template <typename E, unsigned COUNT, bool WIDE = false>
void load_parameter(Warp& w, const Instruction& i, uint32_t lanes) {
    const uint32_t at = uint32_t(i.o[COUNT]);
    if (at + sizeof(E) * COUNT > machine.kernel->parameter_bytes)
        report(w, first(lanes), ILLEGAL_ADDRESS, "reads past the kernel's parameters");
    each(lanes, [&](unsigned l) { give<E, COUNT, WIDE>(w, i.o, l, parameter_space() + at); });
}

// ---- cp.async: the bytes land at the wait of the thread that issued it

void copy_async(Warp& w, const Instruction& i, uint32_t lanes) { // [to], [from], bytes, bytes that come from there
    const uint32_t* to = in<uint32_t>(w, i.o[0]);
    const uint64_t* from = in<uint64_t>(w, i.o[2]);
    const uint32_t bytes = uint32_t(i.o[4]);
    if (bytes != 4 && bytes != 8 && bytes != 16) report(w, first(lanes), LAUNCH_FAILED, "cp.async of " + size_text(bytes));
    if (machine.counting) {
        Addresses a;
        read_addresses(a, w, i.o + 2);
        uint32_t reading = 0;
        for (unsigned l = 0; l < LANES; l++)
            reading |= uint32_t((lanes >> l & 1) != 0 && (i.o[5] == NONE || in<uint32_t>(w, i.o[5])[l] > 0)) << l;
        count_global(a.of, reading, bytes);
        count_shared(lanes, bytes, [&](unsigned l) { return to[l] + uint32_t(i.o[1]); });
    }
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        AsyncCopy c{to[l] + uint32_t(i.o[1]), bytes, i.o[5] == NONE ? bytes : in<uint32_t>(w, i.o[5])[l], w.lane[l].copy_group,
                    from[l] + uint64_t(int64_t(i.o[3]))};
        if (c.source_bytes > bytes)
            report(w, l, LAUNCH_FAILED, "cp.async of " + size_text(bytes) + " that reads " + size_text(c.source_bytes));
        if (c.global % bytes != 0) misaligned(w, l, bytes, describe(c.global));
        for (uint32_t n = 0; n < c.source_bytes;) { // in pieces that are aligned
            uint32_t piece = 16;
            while (piece > c.source_bytes - n) piece /= 2;
            accessed(w, l, c.global + n, piece, READ);
            n += piece;
        }
        check_shared(w, l, c.shared, bytes, WRITE);
        begin_write(w, l, c.shared, bytes);
        w.lane[l].copies.push_back(c);
    }
}
void copy_commit(Warp& w, const Instruction&, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) w.lane[first(rest)].copy_group++;
}
void copy_wait(Warp& w, const Instruction& i, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) land(w.lane[first(rest)], w, first(rest), uint32_t(i.o[0]));
}
void copy_wait_all(Warp& w, const Instruction&, uint32_t lanes) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        w.lane[first(rest)].copy_group++;
        land(w.lane[first(rest)], w, first(rest), 0);
    }
}

// ldmatrix: lane 8 m + r gives the 16 bytes of row r of matrix m; lane l gets elements 2 (l % 4) and one more of row l / 4, or, transposed,
// of column l / 4.
template <unsigned COUNT, bool TRANSPOSED>
void load_matrices(Warp& w, const Instruction& i, uint32_t) {
    uint16_t rows[COUNT * 8][8];
    const uint32_t* base = in<uint32_t>(w, i.o[COUNT]);
    count_shared(COUNT == 4 ? ALL : (1u << COUNT * 8) - 1, 16, [&](unsigned l) { return base[l] + uint32_t(i.o[COUNT + 1]); });
    for (unsigned r = 0; r < COUNT * 8; r++) read_shared<16>(w, r, base[r] + uint32_t(i.o[COUNT + 1]), rows[r]);
    for (unsigned m = 0; m < COUNT; m++) {
        auto* d = out<uint32_t>(w, i.o[m]);
        for (unsigned l = 0; l < LANES; l++) {
            const unsigned r = l / 4, c = 2 * (l % 4);
            d[l] = TRANSPOSED ? rows[8 * m + c][r] | uint32_t(rows[8 * m + c + 1][r]) << 16
                              : rows[8 * m + r][c] | uint32_t(rows[8 * m + r][c + 1]) << 16;
        }
    }
}

// ---- addresses of one kind as another
void same_address(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<uint64_t>(w, i.o[0]);
    const auto* a = in<uint64_t>(w, i.o[1]);
    each(lanes, [&](unsigned l) { d[l] = a[l]; });
}
void from_shared(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<uint64_t>(w, i.o[0]);
    const auto* a = in<uint64_t>(w, i.o[1]);
    const uint64_t begin = reinterpret_cast<uint64_t>(shared_space());
    each(lanes, [&](unsigned l) { d[l] = begin + a[l]; });
}
void to_shared(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<uint64_t>(w, i.o[0]);
    const auto* a = in<uint64_t>(w, i.o[1]);
    const uint64_t begin = reinterpret_cast<uint64_t>(shared_space());
    each(lanes, [&](unsigned l) { d[l] = a[l] - begin; });
}

// ---- the table

template <typename E, unsigned COUNT>
void add_accesses(Forms& f, const std::string& type) {
    const char letter = sizeof(E) == 8 ? 'l' : sizeof(E) == 4 ? 'w' : 'x';
    std::string values(COUNT, letter), results(COUNT, char(letter & ~32));
    if (COUNT > 1) values = "{" + values + "}", results = "{" + results + "}";
    const std::string v = COUNT == 1 ? "" : ".v" + std::to_string(COUNT);
    using U = std::conditional_t<sizeof(E) == 8, uint64_t, std::conditional_t<sizeof(E) == 4, uint32_t, E>>;
    for (const char* how : {"", ".nc", ".ca", ".cg", ".cs"})
        f["ld.global" + std::string(how) + v + type] = {results + "[l]", load<U, COUNT, false>};
    f["ld" + v + type] = {results + "[l]", load<U, COUNT, true>};
    f["ld.shared" + v + type] = {results + "[w]", load_shared<U, COUNT>};
    f["ld.param" + v + type] = {results + "a", load_parameter<U, COUNT>};
    for (const char* how : {"", ".wb", ".cg", ".cs"})
        f["st.global" + std::string(how) + v + type] = {"[l]" + values, store<U, COUNT, false>};
    f["st" + v + type] = {"[l]" + values, store<U, COUNT, true>};
    f["st.shared" + v + type] = {"[w]" + values, store_shared<U, COUNT>};
    if constexpr (COUNT == 1 && sizeof(E) < 8) { // into a register of 64 bits
        for (const char* how : {"", ".nc", ".ca", ".cg", ".cs"})
            f["ld.global" + std::string(how) + type + " wide"] = {"L[l]", load<E, 1, false, true>};
        f["ld" + type + " wide"] = {"L[l]", load<E, 1, true, true>};
        f["ld.shared" + type + " wide"] = {"L[w]", load_shared<E, 1, true>};
        f["ld.param" + type + " wide"] = {"La", load_parameter<E, 1, true>};
    }
}
template <typename E>
void add_all_accesses(Forms& f, const std::string& type) {
    add_accesses<E, 1>(f, type);
    add_accesses<E, 2>(f, type);
    if constexpr (sizeof(E) < 8) add_accesses<E, 4>(f, type);
}
} // namespace

unsigned char* global_at(const Warp& w, unsigned lane, uint64_t address, uint64_t bytes, int kind) {
    if ((bytes & (bytes - 1)) == 0 && bytes <= 16 && (address & (bytes - 1)) != 0) misaligned(w, lane, bytes, describe(address));
    Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a != nullptr && a->live && address - a->begin <= a->bytes && bytes <= a->bytes - (address - a->begin)) {
        count_host_bytes(*a, bytes, kind);
        return reinterpret_cast<unsigned char*>(address);
    }
    for (const HostRange& r : registered)
        if (address - r.begin <= r.bytes && bytes <= r.bytes - (address - r.begin)) return reinterpret_cast<unsigned char*>(address);
    const bool dead = a != nullptr && !a->live && address - a->begin < a->bytes;
    report(w, lane, ILLEGAL_ADDRESS,
           std::string(VERBS[kind]) + " of " + size_text(bytes) + (dead ? " after free" : " out of bounds") + ", at " + describe(address));
}

unsigned char* accessed(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind) {
    unsigned char* at = global_at(w, lane, address, bytes, kind);
    check_global(w, lane, address, bytes, kind);
    return at;
}

unsigned char* updated_shared(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    check_shared(w, lane, address, bytes, ATOMIC);
    shared_state_problem(w, lane, address, bytes, ATOMIC);
    check_write(w, lane, address, bytes, ATOMIC);
    written(w, lane, address, bytes);
    return shared_space() + address;
}

unsigned char* shared_at(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, int kind) {
    if (address < SHARED_BEGIN || address > machine.shared_end || bytes > machine.shared_end - address)
        report(w, lane, ILLEGAL_ADDRESS,
               std::string(VERBS[kind]) + " of " + size_text(bytes) + " out of bounds, at " + shared_place(address) + " of shared memory");
    return shared_space() + address;
}

void begin_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    for (uint32_t at = address; at < address + bytes; at++)
        if (machine.states[at] > WRITTEN) shared_state_problem(w, lane, address, bytes, WRITE);
    check_write(w, lane, address, bytes, WRITE);
    std::memset(&machine.states[address], IN_FLIGHT, bytes);
}
void end_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) { written(w, lane, address, bytes); }

void check_proxy(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, const char* what) {
    shared_at(w, lane, address, bytes, READ);
    if (bytes == 16) { // nearly always all is well
        static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        static const uint32_t none[8] = {};
        if (std::memcmp(&machine.states[address], ones, 16) == 0 && std::memcmp(&machine.writers[address / 2], none, 32) == 0) return;
    }
    for (uint32_t at = address; at < address + bytes; at++)
        if (machine.states[at] != WRITTEN && machine.states[at] != BEING_READ) shared_state_problem(w, lane, address, bytes, READ);
    for (uint32_t half = address / 2; half <= (address + bytes - 1) / 2; half++) {
        const uint32_t writer = machine.writers[half];
        if (writer == 0 || machine.proxy_fences[writer >> 21] >= (writer & 0x1fffff)) continue;
        const dim3 n = machine.launch->block;
        const unsigned t = writer >> 21;
        report(w, lane, LAUNCH_FAILED,
               std::string(what) + " " + shared_place(half * 2) + " of shared memory, which thread (" + std::to_string(t % n.x) + "," +
                   std::to_string(t / n.x % n.y) + "," + std::to_string(t / n.x / n.y) + ") stored without a fence.proxy.async since");
    }
}

void land(Lane& lane, const Warp& w, unsigned number, unsigned pending) {
    size_t done = 0;
    while (done < lane.copies.size() && lane.copies[done].group + pending < lane.copy_group) {
        const AsyncCopy& c = lane.copies[done++];
        unsigned char* to = shared_space() + c.shared;
        std::memcpy(to, reinterpret_cast<const void*>(c.global), c.source_bytes);
        std::memset(to + c.source_bytes, 0, c.bytes - c.source_bytes);
        end_write(w, number, c.shared, c.bytes);
    }
    lane.copies.erase(lane.copies.begin(), lane.copies.begin() + long(done));
}

void add_memory(Forms& f) {
    add_all_accesses<uint8_t>(f, ".u8");
    add_all_accesses<uint8_t>(f, ".b8");
    add_all_accesses<int8_t>(f, ".s8");
    add_all_accesses<uint16_t>(f, ".u16");
    add_all_accesses<uint16_t>(f, ".b16");
    add_all_accesses<int16_t>(f, ".s16");
    add_all_accesses<int32_t>(f, ".s32");
    for (const char* type : {".u32", ".b32", ".f32"}) add_all_accesses<uint32_t>(f, type);
    for (const char* type : {".u64", ".s64", ".b64", ".f64"}) add_all_accesses<uint64_t>(f, type);
    f["red.relaxed.gpu.global.add.v4.f32"] = {"[l]{wwww}", add_four};
    f["cp.async.cg.shared.global"] = f["cp.async.ca.shared.global"] = {"[w][l]i?w", copy_async};
    f["cp.async.commit_group"] = {"", copy_commit};
    f["cp.async.wait_group"] = {"i", copy_wait};
    f["cp.async.wait_all"] = {"", copy_wait_all};
    const std::string ldmatrix = "ldmatrix.sync.aligned.m8n8";
    f[ldmatrix + ".x1.shared.b16"] = {"{W}[w]", load_matrices<1, false>, Kind::ALIGNED};
    f[ldmatrix + ".x2.shared.b16"] = {"{WW}[w]", load_matrices<2, false>, Kind::ALIGNED};
    f[ldmatrix + ".x4.shared.b16"] = {"{WWWW}[w]", load_matrices<4, false>, Kind::ALIGNED};
    f[ldmatrix + ".x1.trans.shared.b16"] = {"{W}[w]", load_matrices<1, true>, Kind::ALIGNED};
    f[ldmatrix + ".x2.trans.shared.b16"] = {"{WW}[w]", load_matrices<2, true>, Kind::ALIGNED};
    f[ldmatrix + ".x4.trans.shared.b16"] = {"{WWWW}[w]", load_matrices<4, true>, Kind::ALIGNED};
    for (const char* direction : {"cvta.global.u64", "cvta.to.global.u64", "cvta.param.u64", "cvta.to.param.u64"})
        f[direction] = {"Ll", same_address};
    f["cvta.shared.u64"] = {"Ll", from_shared};
    f["cvta.to.shared.u64"] = {"Ll", to_shared};
}

} // namespace sim::ptx
