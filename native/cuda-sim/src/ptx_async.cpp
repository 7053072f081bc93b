// ptx_async.cpp: what is asynchronous on compute capability 9.0: mbarriers, bulk and tensor copies, wgmma. All of it happens as late as it
// may: copies when somebody needs their mbarrier's phase to end, or at the wait for their group; products at their wait. Layouts are
// read from the PTX ISA's pages on matrix descriptors, fragments and swizzling.
#include "ptx.hpp"

namespace sim::ptx {

namespace {

template <typename F>
void for_lanes(uint32_t lanes, F f) {
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) f(first(rest));
}
uint32_t shared_address(const Warp& w, const int32_t* o, unsigned lane) { return in<uint32_t>(w, o[0])[lane] + uint32_t(o[1]); }
uint64_t global_address(const Warp& w, const int32_t* o, unsigned lane) { return in<uint64_t>(w, o[0])[lane] + uint64_t(int64_t(o[1])); }

// ---- tensor maps, as cuTensorMapEncodeTiled writes them here

struct Box {
    uint64_t base, sizes[5], strides[5]; // strides in bytes
    unsigned box[5], rank, element, swizzle;
    uint64_t bytes() const {
        uint64_t n = element;
        for (unsigned i = 0; i < rank; i++) n *= box[i];
        return n;
    }
};

Box box_of(const unsigned char* map, unsigned rank, const Warp& w, unsigned lane) {
    static const unsigned element_bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4}; // CUtensorMapDataType
    static const unsigned spans[] = {0, 32, 64, 128};
    Box b{};
    uint64_t kind;
    std::memcpy(&b.base, map, 8);
    std::memcpy(&kind, map + 8, 8);
    const unsigned type = kind & 255, interleave = kind >> 24 & 255, fill = kind >> 32 & 255;
    b.rank = kind >> 8 & 255, b.swizzle = kind >> 16 & 255;
    if (type > 12 || b.rank < 1 || b.rank > 5) report(w, lane, LAUNCH_FAILED, "a tensor copy whose map is no tensor map");
    if (b.rank != rank)
        report(w, lane, LAUNCH_FAILED, "a tensor copy of " + std::to_string(rank) + " axes with a map of " + std::to_string(b.rank));
    if (interleave != 0 || fill != 0 || b.swizzle > 3)
        report(w, lane, LAUNCH_FAILED, "a tensor copy whose map interleaves, fills with NaN or swizzles in a way that is not simulated");
    b.element = element_bytes[type];
    b.strides[0] = b.element;
    for (unsigned i = 0; i < rank; i++) {
        std::memcpy(&b.sizes[i], map + 16 + 8 * i, 8);
        if (i + 1 < rank) std::memcpy(&b.strides[i + 1], map + 56 + 8 * i, 8);
        std::memcpy(&b.box[i], map + 88 + 4 * i, 4);
    }
    if (b.swizzle != 0 && b.box[0] * b.element != spans[b.swizzle])
        report(w, lane, LAUNCH_FAILED, "a tensor copy whose rows are not as long as its swizzle's span; others are not simulated");
    return b;
}

// 16-byte pieces are exchanged within 128, 64 or 32 bytes by bits 7 and up of their address.
uint32_t swizzled(uint32_t address, unsigned swizzle) {
    const uint32_t mask = swizzle == 3 ? 7 : swizzle == 2 ? 3 : swizzle == 1 ? 1 : 0;
    return address ^ (address >> 7 & mask) << 4;
}

// Calls f(row's byte within the box, its address in global memory, bytes inside, bytes before them that lie outside), row by row.
template <typename F>
void for_rows(const Box& b, const int* at, F f) {
    const uint64_t row_bytes = uint64_t(b.box[0]) * b.element;
    uint64_t rows = 1;
    for (unsigned i = 1; i < b.rank; i++) rows *= b.box[i];
    for (uint64_t row = 0; row < rows; row++) {
        uint64_t rest = row, address = b.base;
        bool inside = true;
        for (unsigned i = 1; i < b.rank; i++) {
            const int64_t x = int64_t(at[i]) + int64_t(rest % b.box[i]);
            rest /= b.box[i];
            inside = inside && x >= 0 && uint64_t(x) < b.sizes[i];
            address += uint64_t(x) * b.strides[i];
        }
        const int64_t begin = std::max<int64_t>(at[0], 0), end = std::min<int64_t>(int64_t(at[0]) + b.box[0], int64_t(b.sizes[0]));
        if (!inside || begin >= end)
            f(row * row_bytes, uint64_t(0), uint64_t(0), uint64_t(0));
        else
            f(row * row_bytes, address + uint64_t(begin) * b.element, uint64_t(end - begin) * b.element,
              uint64_t(begin - at[0]) * b.element);
    }
}

// ---- copies into shared memory

void bring(const BulkCopy& c, const Warp& w) {
    if (!c.tensor)
        std::memcpy(shared_space() + c.shared, reinterpret_cast<const void*>(c.global), c.bytes);
    else {
        const Box b = box_of(c.map, unsigned(c.instruction->number), w, 0);
        std::vector<unsigned char> row(uint64_t(b.box[0]) * b.element);
        for_rows(b, c.coordinates, [&](uint64_t offset, uint64_t from, uint64_t bytes, uint64_t before) {
            std::fill(row.begin(), row.end(), 0);
            if (bytes > 0) std::memcpy(row.data() + before, reinterpret_cast<const void*>(from), bytes);
            for (uint32_t piece = 0; piece < row.size(); piece += 16)
                std::memcpy(shared_space() + swizzled(c.shared + uint32_t(offset) + piece, b.swizzle), row.data() + piece, 16);
        });
    }
    std::memset(&machine.states[c.shared], WRITTEN, c.bytes);
    std::memset(&machine.writers[c.shared / 2], 0, c.bytes / 2 * sizeof(uint32_t));
}

uint32_t chunk_of(uint64_t descriptor, bool along_mn, unsigned line, unsigned chunk);

// Calls f(address) for each 16 bytes of a matrix of so many rows or columns and 16 elements along k.
template <typename F>
void for_chunks(uint64_t descriptor, bool along_mn, unsigned count, F f) {
    for (unsigned line = 0; line < (along_mn ? 16 : count); line++)
        for (unsigned chunk = 0; chunk < (along_mn ? count / 8 : 2); chunk++) f(chunk_of(descriptor, along_mn, line, chunk));
}
// Whether a product reads any of these bytes. Which warp of the group reads which rows of a is not said: each may read all.
bool reads(const Product& p, uint32_t begin, uint32_t end) {
    bool any = false;
    auto look = [&](uint32_t at) { any = any || (at + 16 > begin && at < end); };
    if (!p.a_in_registers) for_chunks(p.a, p.a_transposed, 64, look);
    for_chunks(p.b, p.b_transposed, p.columns, look);
    return any;
}

void begin_copy(BulkCopy c, MBarrier& b, Warp& w, unsigned lane) {
    shared_at(w, lane, c.shared, c.bytes, 1);
    if (!b.fenced)
        report(w, lane, LAUNCH_FAILED,
               "a copy that is counted by an mbarrier whose initialization no fence.mbarrier_init or fence.proxy.async followed");
    for (uint32_t half = c.shared / 2; half < (c.shared + c.bytes) / 2; half++) {
        const uint32_t writer = machine.writers[half];
        if (writer != 0 && machine.proxy_fences[writer >> 21] < (writer & 0x1fffff)) check_proxy(w, lane, half * 2, 2, "a copy overwrites");
    }
    begin_write(w, lane, c.shared, c.bytes);
    c.thread = w.number * LANES + lane, c.tick = w.tick;
    b.copies.push_back(c);
}

// ---- mbarriers: a phase ends when all have arrived and what was expected was brought

MBarrier& mbarrier_at(const Warp& w, unsigned lane, uint32_t address) {
    for (MBarrier& b : machine.mbarriers)
        if (b.address == address) return b;
    report(w, lane, LAUNCH_FAILED, "an mbarrier at " + shared_place(address) + " of shared memory that was not initialized");
}
// Ends the phase if it may; what is under way is brought now.
void settle(MBarrier& b, const Warp& w) {
    if (b.missing > 0) return;
    for (const BulkCopy& c : b.copies) {
        bring(c, w);
        b.bytes -= c.bytes;
        b.seen.add(c.thread / LANES, c.tick - 1, 1u << c.thread % LANES);
    }
    b.copies.clear();
    if (b.bytes != 0) return;
    b.phase++;
    b.missing = b.arrivals;
    machine.events++;
}
void init_mbarrier(Warp& w, const Instruction& i, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) {
        const uint32_t address = shared_address(w, i.o, l), arrivals = in<uint32_t>(w, i.o[2])[l];
        shared_at(w, l, address, 8, 1);
        if (address % 8 != 0)
            report(w, l, MISALIGNED_ADDRESS, "an mbarrier at " + shared_place(address) + " of shared memory is not aligned to 8 bytes");
        if (arrivals == 0 || arrivals >= 1 << 20) report(w, l, LAUNCH_FAILED, "an mbarrier for " + std::to_string(arrivals) + " arrivals");
        for (const MBarrier& b : machine.mbarriers)
            if (b.address == address) report(w, l, LAUNCH_FAILED, "an mbarrier is initialized twice");
        begin_write(w, l, address, 8);
        std::memset(&machine.states[address], MBARRIER, 8);
        machine.mbarriers.push_back({address, arrivals, arrivals, 0, 0, false, w.number * LANES + l, {}, {}});
        machine.mbarriers.back().seen.clear();
    });
}
void invalidate_mbarrier(Warp& w, const Instruction& i, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) {
        const uint32_t address = shared_address(w, i.o, l);
        mbarrier_at(w, l, address);
        std::memset(&machine.states[address], UNWRITTEN, 8);
        auto& all = machine.mbarriers;
        all.erase(std::find_if(all.begin(), all.end(), [&](const MBarrier& b) { return b.address == address; }));
    });
}
void fence_mbarriers(unsigned thread) {
    for (MBarrier& b : machine.mbarriers)
        if (b.thread == thread) b.fenced = true;
}
void fence_initializations(Warp& w, const Instruction&, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) { fence_mbarriers(w.number * LANES + l); });
}
void fence_proxy(Warp& w, const Instruction&, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) {
        machine.proxy_fences[w.number * LANES + l]++;
        fence_mbarriers(w.number * LANES + l);
    });
}
void expect(MBarrier& b, const Warp& w, uint32_t bytes) {
    settle(b, w);
    b.bytes += bytes;
    machine.events++;
}
void arrive(MBarrier& b, const Warp& w, unsigned lane) {
    settle(b, w);
    if (b.missing == 0) report(w, lane, LAUNCH_FAILED, "arrives at an mbarrier whose phase has all its arrivals and lacks bytes");
    publish(b.seen, w, lane);
    b.missing--;
    machine.events++;
}
void expect_bytes(Warp& w, const Instruction& i, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) { expect(mbarrier_at(w, l, shared_address(w, i.o, l)), w, in<uint32_t>(w, i.o[2])[l]); });
}
void arrive_mbarrier(Warp& w, const Instruction& i, uint32_t lanes) { // state, [mbarrier], number 1: bytes expected before
    for_lanes(lanes, [&](unsigned l) {
        MBarrier& b = mbarrier_at(w, l, shared_address(w, i.o + 1, l));
        if (i.number == 1) expect(b, w, in<uint32_t>(w, i.o[3])[l]);
        out<uint64_t>(w, i.o[0])[l] = b.phase;
        arrive(b, w, l);
    });
    // Others may go on at once, before what this warp does next: in one order always, in one never.
    if (settings.order == REVERSE || (settings.order == RANDOM && (machine.random() & 1) != 0)) w.polled = lanes;
}
void try_wait(Warp& w, const Instruction& i, uint32_t lanes) { // p, [mbarrier], parity
    uint32_t ended = 0;
    for_lanes(lanes, [&](unsigned l) {
        MBarrier& b = mbarrier_at(w, l, shared_address(w, i.o + 1, l));
        const uint32_t parity = in<uint32_t>(w, i.o[3])[l] & 1;
        if ((b.phase & 1) == parity) settle(b, w);
        if ((b.phase & 1) == parity) return;
        ended |= 1u << l;
        w.seen.add(b.seen);
    });
    if (ended != 0) machine.events++;
    w.polled = lanes & ~ended;
    set_predicate(w, i.o[0], lanes, ended);
}

void copy_tensor(Warp& w, const Instruction& i, uint32_t lanes) { // [to], [map, {x, ...}], [mbarrier]
    const unsigned rank = unsigned(i.number);
    for_lanes(lanes, [&](unsigned l) {
        BulkCopy c{};
        c.instruction = &i, c.tensor = true;
        c.shared = shared_address(w, i.o, l);
        const uint64_t map = global_address(w, i.o + 2, l);
        if (map % 64 != 0) report(w, l, MISALIGNED_ADDRESS, "a tensor map that is not aligned to 64 bytes");
        const uint64_t parameters = reinterpret_cast<uint64_t>(parameter_space());
        if (map - parameters < machine.kernel->parameter_bytes)
            std::memcpy(c.map, reinterpret_cast<const void*>(map), 128);
        else
            std::memcpy(c.map, global_at(w, l, map, 128, 0), 128);
        for (unsigned n = 0; n < rank; n++) c.coordinates[n] = int(in<uint32_t>(w, i.o[4 + n])[l]);
        const Box box = box_of(c.map, rank, w, l);
        c.bytes = uint32_t(box.bytes());
        if (c.shared % 128 != 0)
            report(w, l, MISALIGNED_ADDRESS,
                   "a tensor copy to " + shared_place(c.shared) + " of shared memory, which is not aligned to 128 bytes");
        for_rows(box, c.coordinates, [&](uint64_t, uint64_t from, uint64_t bytes, uint64_t) {
            if (bytes > 0) global_at(w, l, from, bytes, 0);
        });
        begin_copy(c, mbarrier_at(w, l, shared_address(w, i.o + 4 + rank, l)), w, l);
        machine.events++;
    });
}
void check_bulk(const Warp& w, unsigned lane, uint32_t shared, uint64_t global, uint32_t bytes) {
    if (shared % 16 != 0 || global % 16 != 0 || bytes % 16 != 0)
        report(w, lane, MISALIGNED_ADDRESS,
               "a bulk copy of " + std::to_string(bytes) + " bytes whose addresses or size are no multiples of 16");
}
void copy_bulk(Warp& w, const Instruction& i, uint32_t lanes) { // [to], [from], bytes, [mbarrier]
    for_lanes(lanes, [&](unsigned l) {
        BulkCopy c{};
        c.instruction = &i;
        c.shared = shared_address(w, i.o, l), c.global = global_address(w, i.o + 2, l), c.bytes = in<uint32_t>(w, i.o[4])[l];
        check_bulk(w, l, c.shared, c.global, c.bytes);
        if (c.bytes > 0) global_at(w, l, c.global, c.bytes, 0);
        begin_copy(c, mbarrier_at(w, l, shared_address(w, i.o + 5, l)), w, l);
        machine.events++;
    });
}
void prefetch(Warp& w, const Instruction& i, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) {
        if (global_address(w, i.o, l) % 64 != 0) report(w, l, MISALIGNED_ADDRESS, "a tensor map that is not aligned to 64 bytes");
    });
}

// ---- copies out of shared memory

void store_bulk(Warp& w, const Instruction& i, uint32_t lanes) { // [to], [from], bytes; number 1: added
    for_lanes(lanes, [&](unsigned l) {
        BulkStore s{&i,
                    global_address(w, i.o, l),
                    shared_address(w, i.o + 2, l),
                    in<uint32_t>(w, i.o[4])[l],
                    w.lane[l].store_group,
                    i.number == 1,
                    false,
                    {}};
        check_bulk(w, l, s.shared, s.global, s.bytes);
        if (s.bytes == 0) return;
        global_at(w, l, s.global, s.bytes, i.number == 1 ? 2 : 1);
        check_proxy(w, l, s.shared, s.bytes, "a bulk copy reads");
        check_read(w, l, s.shared, s.bytes);
        std::memset(&machine.states[s.shared], BEING_READ, s.bytes);
        w.lane[l].stores.push_back(std::move(s));
    });
}
void commit_stores(Warp& w, const Instruction&, uint32_t lanes) {
    for_lanes(lanes, [&](unsigned l) { w.lane[l].store_group++; });
}
void read_store(BulkStore& s) {
    if (s.read) return;
    s.read = true;
    const unsigned char* from = shared_space() + s.shared;
    s.data.assign(from, from + s.bytes);
    std::memset(&machine.states[s.shared], WRITTEN, s.bytes);
}
void write_store(const BulkStore& s) {
    auto* to = reinterpret_cast<unsigned char*>(s.global);
    if (!s.reduce) {
        std::memcpy(to, s.data.data(), s.bytes);
        return;
    }
    for (uint32_t at = 0; at < s.bytes; at += 4) {
        float sum, x;
        std::memcpy(&sum, to + at, 4);
        std::memcpy(&x, s.data.data() + at, 4);
        sum += x;
        std::memcpy(to + at, &sum, 4);
    }
}
void wait_stores(Warp& w, const Instruction& i, uint32_t lanes) { // number 1: until they are read
    for_lanes(lanes, [&](unsigned l) {
        auto& stores = w.lane[l].stores;
        size_t done = 0;
        for (; done < stores.size() && stores[done].group + uint32_t(i.o[0]) < w.lane[l].store_group; done++) {
            read_store(stores[done]);
            if (i.number == 0) write_store(stores[done]);
        }
        if (i.number == 0) stores.erase(stores.begin(), stores.begin() + long(done));
        for (const Warp& other : machine.warps) {
            if (other.number >= machine.warp_count) break;
            for (const Lane& lane : other.lane)
                for (const BulkStore& s : lane.stores)
                    if (!s.read) std::memset(&machine.states[s.shared], BEING_READ, s.bytes);
        }
    });
    machine.events++;
}

// ---- wgmma

// Where 16 bytes of a matrix lie, by its descriptor with 128-byte swizzle. K-major: 8 lines of m or n, each 128 bytes, then the stride;
// a chunk is 8 elements along k. MN-major: 8 lines of k, each 64 elements of m or n, then the stride to the next 8; after 64 elements
// the leading dimension's offset. The swizzle is of the address, from where the base offset says that its pattern begins.
uint32_t chunk_of(uint64_t descriptor, bool along_mn, unsigned line, unsigned chunk) {
    const uint32_t start = uint32_t(descriptor & 0x3fff) << 4, leading = uint32_t(descriptor >> 16 & 0x3fff) << 4,
                   stride = uint32_t(descriptor >> 32 & 0x3fff) << 4, base = uint32_t(descriptor >> 49 & 7);
    uint32_t at = start + line % 8 * 128 + line / 8 * stride;
    at += along_mn ? chunk % 8 * 16 + chunk / 8 * leading : chunk * 16;
    return at ^ (((at >> 7) - base) & 7) << 4;
}
void check_descriptor(uint64_t d, const Warp& w) {
    if (d >> 62 != 1) report(w, 0, LAUNCH_FAILED, "a wgmma whose matrix descriptor has no 128-byte swizzle; others are not simulated");
    if ((d & 0x3ff1c000c000c000u) != 0) report(w, 0, LAUNCH_FAILED, "a wgmma whose matrix descriptor has bits set that must be 0");
}
void read_chunk(float* to, unsigned stride, uint32_t at) {
    uint16_t halves[8];
    std::memcpy(halves, shared_space() + at, 16);
    for (unsigned n = 0; n < 8; n++) to[n * stride] = bf16_value(halves[n]);
}

constexpr unsigned MAX_COLUMNS = 256;
typedef float Row __attribute__((vector_size(32), may_alias, aligned(4)));

// With g = lane / 4 and t = lane % 4, accumulator element i of a lane is in row 16 (warp % 4) + g, or g + 8 where i / 2 is odd, and column
// 8 (i / 4) + 2 t + i % 2; element i of a in registers as of mma.m16n8k16.
void compute(const Product& p, Warp& w) {
    static float a[16][16], b[16][MAX_COLUMNS], d[16][MAX_COLUMNS];
    const Instruction* after = w.at;
    w.at = p.instruction; // for reports
    if (!p.a_in_registers)
        for_chunks(p.a, p.a_transposed, 64, [&](uint32_t at) {
            check_proxy(w, 0, at, 16, "a wgmma reads");
            check_warp_read(w, at, 16);
        });
    for_chunks(p.b, p.b_transposed, p.columns, [&](uint32_t at) {
        check_proxy(w, 0, at, 16, "a wgmma reads");
        check_warp_read(w, at, 16);
    });
    if (p.a_in_registers)
        for (unsigned l = 0; l < LANES; l++)
            for (unsigned e = 0; e < 8; e++)
                a[l / 4 + (e / 2 % 2) * 8][2 * (l % 4) + e % 2 + (e / 4) * 8] =
                    bf16_value(uint16_t(p.a_registers[l][e / 2] >> 16 * (e % 2)));
    else
        for (unsigned row = 0; row < 16; row++) {
            const unsigned m = w.number % 4 * 16 + row;
            if (!p.a_transposed)
                for (unsigned chunk = 0; chunk < 2; chunk++) read_chunk(&a[row][8 * chunk], 1, chunk_of(p.a, false, m, chunk));
            else if (row % 8 == 0)
                for (unsigned k = 0; k < 16; k++) read_chunk(&a[row][k], 16, chunk_of(p.a, true, k, m / 8));
        }
    if (p.b_transposed)
        for (unsigned k = 0; k < 16; k++)
            for (unsigned chunk = 0; chunk < p.columns / 8; chunk++) read_chunk(&b[k][8 * chunk], 1, chunk_of(p.b, true, k, chunk));
    else
        for (unsigned n = 0; n < p.columns; n++)
            for (unsigned chunk = 0; chunk < 2; chunk++) read_chunk(&b[8 * chunk][n], MAX_COLUMNS, chunk_of(p.b, false, n, chunk));
    w.at = after;
    const float sign = p.a_sign * p.b_sign;
    if (sign < 0)
        for (auto& row : a)
            for (float& x : row) x = -x;
    const int32_t* o = p.instruction->o;
    auto row_of = [](unsigned lane, unsigned e) { return lane / 4 + e / 2 % 2 * 8; };
    auto column_of = [](unsigned lane, unsigned e) { return e / 4 * 8 + 2 * (lane % 4) + e % 2; };
    for (unsigned e = 0; e < p.columns / 2; e++)
        for (unsigned l = 0; l < LANES; l++) d[row_of(l, e)][column_of(l, e)] = p.add ? in<float>(w, o[e])[l] : 0;
    for (unsigned row = 0; row < 16; row++)
        for (unsigned n = 0; n < p.columns; n += 8) {
            Row sum = *reinterpret_cast<Row*>(&d[row][n]);
            for (unsigned k = 0; k < 16; k++) sum = sum + a[row][k] * *reinterpret_cast<const Row*>(&b[k][n]);
            *reinterpret_cast<Row*>(&d[row][n]) = sum;
        }
    for (unsigned e = 0; e < p.columns / 2; e++)
        for (unsigned l = 0; l < LANES; l++) out<float>(w, o[e])[l] = d[row_of(l, e)][column_of(l, e)];
}

enum Busy : uint8_t { FREE, READ_BY_PRODUCT, WRITTEN_BY_PRODUCT };
size_t row_index(int32_t operand) { return size_t(operand - int32_t(machine.kernel->wgmma_begin)) / LANES; }

void mark_busy(Warp& w, const Product& p) {
    const int32_t* o = p.instruction->o;
    for (unsigned e = 0; e < p.columns / 2; e++) w.busy[row_index(o[e])] = WRITTEN_BY_PRODUCT;
    if (!p.a_in_registers) return;
    for (unsigned e = 0; e < 4; e++)
        if (o[p.columns / 2 + e] >= 0 && w.busy[row_index(o[p.columns / 2 + e])] == FREE)
            w.busy[row_index(o[p.columns / 2 + e])] = READ_BY_PRODUCT;
}

uint64_t same_in_all_lanes(const Warp& w, int32_t at, const char* what) {
    const uint64_t* values = in<uint64_t>(w, at);
    for (unsigned l = 1; l < LANES; l++)
        if (values[l] != values[0]) report(w, l, LAUNCH_FAILED, std::string("lanes of a warp give a wgmma different ") + what);
    return values[0];
}

template <bool A_IN_REGISTERS>
void issue_product(Warp& w, const Instruction& i, uint32_t) {
    const unsigned columns = unsigned(i.number), count = columns / 2;
    const int32_t *o = i.o, *rest = o + count + (A_IN_REGISTERS ? 4 : 1);
    Product p{};
    p.instruction = &i, p.columns = columns, p.group = w.product_group, p.a_in_registers = A_IN_REGISTERS;
    if (!A_IN_REGISTERS) p.a = same_in_all_lanes(w, o[count], "matrices"), check_descriptor(p.a, w);
    p.b = same_in_all_lanes(w, rest[0], "matrices");
    check_descriptor(p.b, w);
    const uint32_t add = w.predicates[rest[1]];
    if (add != 0 && add != ALL) report(w, 0, LAUNCH_FAILED, "lanes of a warp disagree whether a wgmma adds");
    p.add = add != 0;
    p.a_sign = float(rest[2]), p.b_sign = float(rest[3]);
    if (std::abs(rest[2]) != 1 || std::abs(rest[3]) != 1) report(w, 0, LAUNCH_FAILED, "a wgmma whose factors of a and b are not 1 or -1");
    p.a_transposed = !A_IN_REGISTERS && rest[4] != 0;
    p.b_transposed = rest[A_IN_REGISTERS ? 4 : 5] != 0;
    if (A_IN_REGISTERS)
        for (unsigned e = 0; e < 4; e++)
            for (unsigned l = 0; l < LANES; l++) p.a_registers[l][e] = in<uint32_t>(w, o[count + e])[l];
    if (!w.fenced) report(w, 0, LAUNCH_FAILED, "a wgmma without a wgmma.fence before it");
    for (unsigned e = 0; e < count + (A_IN_REGISTERS ? 4 : 0); e++)
        if (o[e] >= 0 && w.touched[row_index(o[e])])
            report(w, 0, LAUNCH_FAILED, "a wgmma without a wgmma.fence since its registers were last touched");
    auto& issues = machine.issues[w.number / 4];
    const Issue issue{uint32_t(&i - machine.kernel->code.data()), p.a, p.b};
    if (w.issued == issues.size())
        issues.push_back(issue);
    else if (issues[w.issued].pc != issue.pc || issues[w.issued].a != issue.a || issues[w.issued].b != issue.b)
        report(w, 0, LAUNCH_FAILED, "the warps of a warpgroup give a wgmma different matrices, or come to different ones");
    w.issued++;
    machine.counts.tensor_operations += uint64_t(2) * 16 * columns * 16; // this warp's part
    mark_busy(w, p);
    w.products.push_back(p);
    machine.products++;
}
void fence_products(Warp& w, const Instruction&, uint32_t) {
    w.fenced = true;
    std::fill(w.touched.begin(), w.touched.end(), 0);
}
void commit_products(Warp& w, const Instruction&, uint32_t) { w.product_group++; }
void wait_products(Warp& w, const Instruction& i, uint32_t) {
    size_t done = 0;
    while (done < w.products.size() && w.products[done].group + unsigned(i.o[0]) < w.product_group) compute(w.products[done++], w);
    w.products.erase(w.products.begin(), w.products.begin() + long(done));
    machine.products -= done;
    std::fill(w.busy.begin(), w.busy.end(), uint8_t(FREE));
    for (const Product& p : w.products) mark_busy(w, p);
}
void set_registers(Warp& w, const Instruction& i, uint32_t) {
    if (i.o[0] < 24 || i.o[0] > 256 || i.o[0] % 8 != 0) report(w, 0, LAUNCH_FAILED, "setmaxnreg of " + std::to_string(i.o[0]));
}

} // namespace

void check_products(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes) {
    for (unsigned n = 0; n < machine.warp_count; n++)
        for (const Product& p : machine.warps[n].products)
            if (reads(p, address, address + bytes))
                report(w, lane, LAUNCH_FAILED,
                       "writes " + shared_place(address) + " of shared memory, which a wgmma that warp " + std::to_string(n) +
                           " has not waited for reads");
}

void touch(Warp& w, const Instruction& i) {
    for (uint32_t n = 0; n < i.reference_count; n++) {
        const Reference& r = machine.kernel->references[i.references + n];
        const size_t row = row_index(i.o[r.at]);
        if (w.busy[row] == WRITTEN_BY_PRODUCT || (w.busy[row] == READ_BY_PRODUCT && r.write))
            report(w, 0, LAUNCH_FAILED,
                   std::string(r.write ? "writes" : "reads") + " a register that a wgmma which was not waited for " +
                       (w.busy[row] == WRITTEN_BY_PRODUCT ? "writes" : "reads"));
        w.touched[row] = 1;
    }
}

void end_lanes(Warp& w, uint32_t lanes) {
    if (!w.products.empty()) report(w, first(lanes), LAUNCH_FAILED, "ends while a wgmma of its warp is under way");
    for_lanes(lanes, [&](unsigned l) {
        for (BulkStore& s : w.lane[l].stores) {
            if (!s.read) report(w, l, LAUNCH_FAILED, "ends while a bulk copy out of shared memory is under way that was not waited for");
            machine.unfinished.push_back(std::move(s));
        }
        w.lane[l].stores.clear();
    });
}
void end_block() {
    const Warp& w = machine.warps[0];
    for (const MBarrier& b : machine.mbarriers)
        for (const BulkCopy& c : b.copies)
            report(w, *c.instruction, 0, LAUNCH_FAILED,
                   "the block ends while a copy is under way to " + shared_place(c.shared) + " of its shared memory");
    for (unsigned n = 0; n < machine.warp_count; n++)
        if (machine.warps[n].issued != machine.issues[n / 4].size())
            report(machine.warps[n], 0, LAUNCH_FAILED, "ends without the wgmma that other warps of its warpgroup came to");
}
void end_launch() {
    for (const BulkStore& s : machine.unfinished) write_store(s);
    machine.unfinished.clear();
}

void add_async(Forms& f) {
    f["mbarrier.init.shared::cta.b64"] = f["mbarrier.init.shared.b64"] = {"[w]w", init_mbarrier};
    f["mbarrier.inval.shared::cta.b64"] = f["mbarrier.inval.shared.b64"] = {"[w]", invalidate_mbarrier};
    f["fence.mbarrier_init.release.cluster"] = {"", fence_initializations};
    f["fence.proxy.async"] = f["fence.proxy.async.shared::cta"] = {"", fence_proxy};
    f["mbarrier.expect_tx.relaxed.cta.shared::cta.b64"] = {"[w]w", expect_bytes};
    f["mbarrier.arrive.shared::cta.b64"] = f["mbarrier.arrive.shared.b64"] = {"L[w]", arrive_mbarrier, Kind::POLL};
    f["mbarrier.arrive.expect_tx.shared::cta.b64"] = {"L[w]w", arrive_mbarrier, Kind::POLL, -1, 1};
    f["mbarrier.try_wait.parity.shared::cta.b64"] = f["mbarrier.test_wait.parity.shared::cta.b64"] = {"P[w]w", try_wait, Kind::POLL};
    f["prefetch.tensormap"] = {"[l]", prefetch};
    for (int rank = 1; rank <= 5; rank++) {
        const std::string n = std::to_string(rank);
        f["cp.async.bulk.tensor." + n + "d.shared::cluster.global.mbarrier::complete_tx::bytes"] = {"[w][l" + n + "][w]", copy_tensor,
                                                                                                    Kind::PLAIN, -1, rank};
    }
    f["cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"] = {"[w][l]w[w]", copy_bulk};
    f["cp.async.bulk.global.shared::cta.bulk_group"] = {"[l][w]w", store_bulk};
    f["cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32"] = {"[l][w]w", store_bulk, Kind::PLAIN, -1, 1};
    f["cp.async.bulk.commit_group"] = {"", commit_stores};
    f["cp.async.bulk.wait_group"] = {"i", wait_stores};
    f["cp.async.bulk.wait_group.read"] = {"i", wait_stores, Kind::PLAIN, -1, 1};
    for (int columns = 8; columns <= int(MAX_COLUMNS); columns += 8) {
        const std::string name = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(columns) + "k16.f32.bf16.bf16";
        const std::string d = "{" + std::string(size_t(columns / 2), 'W') + "}";
        f[name] = {d + "llpiiii", issue_product<false>, Kind::ALIGNED, -1, columns};
        f[name + " registers"] = {d + "{wwww}lpiii", issue_product<true>, Kind::ALIGNED, -1, columns};
    }
    f["wgmma.fence.sync.aligned"] = {"", fence_products, Kind::ALIGNED};
    f["wgmma.commit_group.sync.aligned"] = {"", commit_products, Kind::ALIGNED};
    f["wgmma.wait_group.sync.aligned"] = {"i", wait_products, Kind::ALIGNED};
    f["setmaxnreg.inc.sync.aligned.u32"] = f["setmaxnreg.dec.sync.aligned.u32"] = {"i", set_registers, Kind::ALIGNED};
    f["bar.sync"] = f["barrier.sync"] = f["barrier.sync.aligned"] = f["barrier.cta.sync.aligned"] = {"w?w", nullptr, Kind::BARRIER, -1, 0};
    f["bar.arrive"] = f["barrier.arrive"] = f["barrier.arrive.aligned"] =
        f["barrier.cta.arrive.aligned"] = {"ww", nullptr, Kind::BARRIER, -1, 1};
}

} // namespace sim::ptx
