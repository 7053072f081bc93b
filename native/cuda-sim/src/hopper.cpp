// hopper.cpp: what compute capability 9.0 adds: mbarriers, tensor copies (TMA) and the products of a warpgroup (wgmma). All that is
// asynchronous happens as late as it may: a copy when somebody needs its mbarrier's phase to end, a product at its wait. So a thread
// that does not wait is found out.
#include <algorithm>
#include <cstring>

#include "machine.hpp"

namespace sim {

namespace {

constexpr char MBARRIER[] = "an mbarrier", FENCE[] = "wgmma.fence", COMMIT[] = "wgmma.commit_group", WAIT[] = "wgmma.wait_group",
               WGMMA[] = "wgmma of shared memory", WGMMA_REGISTERS[] = "wgmma of registers", REGISTERS[] = "setmaxnreg";

[[noreturn]] void broken(const std::string& what, const void* pc) { stop(LAUNCH_FAILED, here() + ": " + what + where(pc)); }

// ---- shared memory as TMA and wgmma see it: rows of 128 bytes whose eight 16-byte chunks are exchanged by the row's place -----------

uint64_t swizzled(uint64_t offset) { return offset ^ (offset >> 7 & 7) << 4; } // offset: from a 1024-byte boundary

uint64_t shared_begin() { return reinterpret_cast<uint64_t>(m.shared); }

unsigned char* in_shared(uint64_t offset, unsigned bytes, int kind, const void* pc) {
    if (offset + bytes > m.launch->shared_bytes) stray(shared_begin() + offset, bytes, kind, pc);
    return m.shared + offset;
}

// ---- tensor copies --------------------------------------------------------------------------------------------------------------

struct Box { // of a tensor of bf16 of two or three axes, with 128-byte swizzle: what our kernels copy
    uint64_t base, sizes[3] = {1, 1, 1}, strides[2] = {0, 0};
    unsigned box[3] = {1, 1, 1};
    uint64_t bytes() const { return uint64_t(box[0]) * box[1] * box[2] * 2; }
};

Box box_of(const unsigned char* map, const void* pc) { // as cuTensorMapEncodeTiled writes it here
    Box b;
    uint64_t kind;
    std::memcpy(&b.base, map, 8);
    std::memcpy(&kind, map + 8, 8);
    const unsigned type = kind & 255, rank = kind >> 8 & 255, swizzle = kind >> 16 & 255, interleave = kind >> 24 & 255;
    if (type != 9 || (rank != 2 && rank != 3) || swizzle != 3 || interleave != 0)
        broken("a tensor copy whose map is not one of bf16 with two or three axes and 128-byte swizzle; other maps are not simulated", pc);
    for (unsigned i = 0; i < rank; i++) {
        std::memcpy(&b.sizes[i], map + 16 + 8 * i, 8);
        if (i + 1 < rank) std::memcpy(&b.strides[i], map + 56 + 8 * i, 8);
        std::memcpy(&b.box[i], map + 88 + 4 * i, 4);
    }
    if (b.box[0] != 64) broken("a tensor copy whose rows are not 128 bytes, as long as its swizzle", pc);
    return b;
}

// Calls f(bytes of the row in the box, address of its first element or 0 where it is outside the tensor, elements inside).
template <typename F>
void for_rows(const Box& b, const int* at, F f) {
    uint64_t row = 0;
    for (unsigned z = 0; z < b.box[2]; z++)
        for (unsigned y = 0; y < b.box[1]; y++, row++) {
            const int64_t gz = int64_t(at[2]) + z, gy = int64_t(at[1]) + y, gx = at[0];
            const bool inside = gz >= 0 && gy >= 0 && gx >= 0 && uint64_t(gz) < b.sizes[2] && uint64_t(gy) < b.sizes[1] && uint64_t(gx) < b.sizes[0];
            const uint64_t count = inside ? std::min<uint64_t>(b.box[0], b.sizes[0] - uint64_t(gx)) : 0;
            f(row * 128, inside ? b.base + uint64_t(gz) * b.strides[1] + uint64_t(gy) * b.strides[0] + uint64_t(gx) * 2 : 0, count);
        }
}

void bring(const TensorCopy& c) {
    const Box b = box_of(c.map, nullptr);
    const uint64_t to = uint64_t(c.shared - m.shared);
    for_rows(b, c.coordinates, [&](uint64_t row, uint64_t from, uint64_t count) {
        unsigned char line[128] = {};
        if (count > 0) std::memcpy(line, reinterpret_cast<const void*>(from), count * 2);
        for (unsigned chunk = 0; chunk < 8; chunk++) std::memcpy(m.shared + swizzled(to + row + 16 * chunk), line + 16 * chunk, 16);
    });
    if (m.races) restamp(dynamic_shadow(), reinterpret_cast<uint64_t>(c.shared), unsigned(b.bytes()), c.stamp | BROUGHT);
}

// ---- mbarriers --------------------------------------------------------------------------------------------------------------------

MBarrier& mbarrier_at(const void* p, const void* pc) {
    access(p, 8, SIM_ATOMIC, pc);
    for (MBarrier& b : m.mbarriers)
        if (b.address == reinterpret_cast<uint64_t>(p)) return b;
    broken("an mbarrier that was not initialized", pc);
}

Seen& seen_by(MBarrier& b) { // a block barrier orders all that was before
    if (b.epoch != m.epoch) b.seen.clear(), b.epoch = m.epoch;
    return b.seen;
}

// Ends the phase if all have arrived: what is under way is brought now. It does not end where bytes are expected that nobody copies.
void settle(MBarrier& b) {
    if (b.missing > 0) return;
    for (const TensorCopy& c : b.copies) {
        bring(c);
        b.bytes -= int64_t(box_of(c.map, nullptr).bytes());
        if (epoch_of(c.stamp) == m.epoch) {
            const unsigned thread = thread_of(c.stamp);
            seen_by(b).add(thread / LANES, sync_of(c.stamp), thread, sync_of(c.stamp));
        }
    }
    b.copies.clear();
    if (b.bytes != 0) return;
    b.phase++;
    b.missing = b.arrivals;
    for (Fiber* f : b.waiting) make_ready(*f);
    b.waiting.clear();
}

// ---- wgmma ----------------------------------------------------------------------------------------------------------------------------

// A matrix descriptor (PTX ISA, "Matrix Descriptor Format"): address, leading and stride byte offsets in units of 16, swizzle.
struct Descriptor {
    uint64_t start, leading, stride;
};
Descriptor descriptor_of(uint64_t bits, const void* pc) {
    const Descriptor d{(bits & 0x3fff) << 4, (bits >> 16 & 0x3fff) << 4, (bits >> 32 & 0x3fff) << 4};
    if (bits >> 62 != 1) broken("a wgmma whose matrix descriptor has no 128-byte swizzle; others are not simulated", pc);
    if ((bits >> 49 & 7) != 0 || (d.start & 0x380) != 0)
        broken("a wgmma whose matrix does not begin at a multiple of 1024 bytes, but for a place in its first row", pc);
    return d;
}

// The 16 bytes of eight elements of one row. along_k: rows run along k (K-major), line is m or n and chunk k / 8; else rows run along
// n (MN-major), line is k and chunk n / 8.
uint64_t chunk_at(const Descriptor& d, bool along_k, unsigned line, unsigned chunk) {
    const uint64_t in_atom = d.start + line % 8 * 128 + line / 8 * d.stride;
    return swizzled(along_k ? in_atom + chunk * 16 : in_atom + chunk % 8 * 16 + chunk / 8 * d.leading);
}

void read_chunk(float* to, unsigned to_stride, uint64_t offset, const void* pc) {
    const unsigned char* from = in_shared(offset, 16, SIM_READ, pc);
    if (m.races) {
        const uint64_t i = offset / 4, address = shared_begin() + offset;
        shared_access(dynamic_shadow(), address, 16, SIM_READ, stamp_of(*m.current), pc);
        const Cell& c = m.words[i].split == m.block_number ? m.bytes[offset] : m.words[i];
        if (how_of(c.write) != BROUGHT)
            broken("a wgmma reads byte " + std::to_string(offset) +
                       " of shared memory, which an ordinary store wrote with no fence.proxy.async since",
                   pc);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint16_t half;
        std::memcpy(&half, from + 2 * i, 2);
        const uint32_t bits = uint32_t(half) << 16;
        std::memcpy(to + i * to_stride, &bits, 4);
    }
}

constexpr unsigned MAX_COLUMNS = 256;
typedef float Row __attribute__((vector_size(32), may_alias));

__attribute__((always_inline)) inline void multiply_rows(float (*d)[MAX_COLUMNS], const float (*a)[16], const float (*b)[MAX_COLUMNS], unsigned columns) {
    for (unsigned r = 0; r < 16; r++)
        for (unsigned n = 0; n < columns; n += 8) {
            Row sum = *reinterpret_cast<Row*>(d[r] + n);
            for (unsigned k = 0; k < 16; k++) sum += a[r][k] * *reinterpret_cast<const Row*>(b[k] + n);
            *reinterpret_cast<Row*>(d[r] + n) = sum;
        }
}
__attribute__((target("avx2,fma"))) void multiply_fused(float (*d)[MAX_COLUMNS], const float (*a)[16], const float (*b)[MAX_COLUMNS], unsigned n) {
    multiply_rows(d, a, b, n);
}
void multiply_plain(float (*d)[MAX_COLUMNS], const float (*a)[16], const float (*b)[MAX_COLUMNS], unsigned n) { multiply_rows(d, a, b, n); }
const auto multiply = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? multiply_fused : multiply_plain;

// Element i of lane l's registers of columns 8 j to 8 j + 7 is row 8 (i / 2) + l / 4, column 8 j + 2 (l % 4) + i % 2.
template <typename F>
void for_registers(unsigned columns, F f) {
    for (unsigned l = 0; l < LANES; l++)
        for (unsigned j = 0; j < columns / 8; j++)
            for (unsigned i = 0; i < 4; i++) f(l, 4 * j + i, 8 * (i / 2) + l / 4, 8 * j + 2 * (l % 4) + i % 2);
}

void compute(const Product& p, unsigned warp_in_group, const void* pc) {
    static float a[16][16], b[16][MAX_COLUMNS], d[16][MAX_COLUMNS];
    if (p.a_in_registers)
        for (unsigned l = 0; l < LANES; l++)
            for (unsigned i = 0; i < 4; i++) {
                float* to = a[l / 4 + 8 * (i % 2)] + 2 * (l % 4) + 8 * (i / 2);
                const uint32_t low = p.a_registers[l][i] << 16, high = p.a_registers[l][i] & 0xffff0000u;
                std::memcpy(to, &low, 4);
                std::memcpy(to + 1, &high, 4);
            }
    else if (p.mn_major) {
        const Descriptor from = descriptor_of(p.a, pc);
        for (unsigned k = 0; k < 16; k++)
            for (unsigned chunk = 0; chunk < 2; chunk++) read_chunk(&a[8 * chunk][k], 16, chunk_at(from, false, k, 2 * warp_in_group + chunk), pc);
    } else {
        const Descriptor from = descriptor_of(p.a, pc);
        for (unsigned r = 0; r < 16; r++)
            for (unsigned chunk = 0; chunk < 2; chunk++) read_chunk(a[r] + 8 * chunk, 1, chunk_at(from, true, 16 * warp_in_group + r, chunk), pc);
    }
    const Descriptor from = descriptor_of(p.b, pc);
    if (p.mn_major)
        for (unsigned k = 0; k < 16; k++)
            for (unsigned chunk = 0; chunk < p.columns / 8; chunk++) read_chunk(b[k] + 8 * chunk, 1, chunk_at(from, false, k, chunk), pc);
    else
        for (unsigned n = 0; n < p.columns; n++)
            for (unsigned chunk = 0; chunk < 2; chunk++) read_chunk(&b[8 * chunk][n], MAX_COLUMNS, chunk_at(from, true, n, chunk), pc);
    const unsigned count = p.columns / 2;
    for_registers(p.columns, [&](unsigned l, unsigned i, unsigned row, unsigned column) {
        d[row][column] = !p.add ? 0 : p.start.empty() ? p.d[l][i] : p.start[l * count + i];
    });
    multiply(d, a, b, p.columns);
    for_registers(p.columns, [&](unsigned l, unsigned i, unsigned row, unsigned column) { p.d[l][i] = d[row][column]; });
}

// Whether a product under way reads any of these bytes.
bool is_read(const Product& p, uint64_t offset, uint64_t bytes) {
    auto within = [&](uint64_t bits, bool along_k, unsigned lines, unsigned chunks) {
        const Descriptor d = descriptor_of(bits, nullptr);
        for (unsigned line = 0; line < lines; line += 8) {
            const uint64_t first = chunk_at(d, along_k, line, 0) & ~uint64_t(1023), last = (chunk_at(d, along_k, line, chunks - 1) | 1023) + 1;
            if (first < offset + bytes && offset < last) return true;
        }
        return false;
    };
    if (!p.a_in_registers && (p.mn_major ? within(p.a, false, 16, 8) : within(p.a, true, 64, 2))) return true;
    return p.mn_major ? within(p.b, false, 16, p.columns / 8) : within(p.b, true, p.columns, 2);
}

void issue(unsigned columns, float* d, const unsigned* a_registers, uint64_t a, uint64_t b, int add, bool mn_major, const void* pc) {
    const char* kind = a_registers != nullptr ? WGMMA_REGISTERS : WGMMA;
    Warp& w = warp_of(*m.current);
    const unsigned lane = m.current->linear % LANES;
    w.d[lane] = d, w.a[lane] = a_registers;
    if (w.arrived == 0) w.descriptors[0] = a, w.descriptors[1] = b;
    else if (w.descriptors[0] != a || w.descriptors[1] != b) broken("lanes of a warp give a wgmma different matrices", pc);
    if (!arrive(w, 0xffffffffu, kind, columns * 4 + 2 * mn_major + (add != 0))) return wait(kind);
    if (!w.fenced) broken("a wgmma without a wgmma.fence since its registers were last touched", pc);
    Product p{columns, w.open_group, add != 0, a_registers != nullptr, mn_major, a, b, {}, {}, {}};
    for (unsigned i = 0; i < LANES; i++) {
        p.d[i] = static_cast<float*>(w.d[i]);
        if (p.a_in_registers) std::memcpy(p.a_registers[i], w.a[i], sizeof p.a_registers[i]);
    }
    const bool owned = std::any_of(w.products.begin(), w.products.end(), [&](const Product& q) { return q.d[0] == p.d[0]; });
    if (!owned) { // until its wait the result is nothing that one could use
        p.start.resize(LANES * columns / 2);
        for (unsigned i = 0; i < LANES; i++) {
            std::memcpy(&p.start[i * columns / 2], p.d[i], columns / 2 * sizeof(float));
            std::memset(p.d[i], 0xff, columns / 2 * sizeof(float));
        }
    }
    w.products.push_back(std::move(p));
    release_warp(w);
}

template <typename F>
void together(const char* kind, unsigned number, F f) { // a collective of a warp without values
    Warp& w = warp_of(*m.current);
    if (!arrive(w, 0xffffffffu, kind, number)) return wait(kind);
    f(w);
    release_warp(w);
}

} // namespace

void begin_hopper_block() {
    m.mbarriers.clear();
    for (unsigned t = 0; t < m.threads; t++) m.unfenced[t].clear();
    for (unsigned w = 0; w * LANES < m.threads; w++) {
        Warp& warp = m.warps[w];
        warp.seen.clear();
        warp.products.clear();
        warp.open_group = 0;
        warp.fenced = false;
    }
}

void end_hopper_thread(const Fiber& f) {
    if (!warp_of(f).products.empty()) broken("ends while a wgmma of its warp is under way", nullptr);
    if (m.left > 1) return; // the last one of the block
    for (const MBarrier& b : m.mbarriers)
        if (!b.copies.empty())
            broken("the block ends while a tensor copy is under way to byte " + std::to_string(b.copies[0].shared - m.shared) +
                       " of its shared memory",
                   nullptr);
}

} // namespace sim

using namespace sim;

EXPORT unsigned sim_shared_address(const void* p) { return unsigned(reinterpret_cast<uint64_t>(p) - shared_begin()); }

EXPORT void sim_mbarrier_init(uint64_t* p, unsigned arrivals) {
    access(p, 8, SIM_WRITE, PC);
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    for (const MBarrier& b : m.mbarriers)
        if (b.address == address) broken("an mbarrier is initialized twice", PC);
    m.mbarriers.push_back(MBarrier{address, arrivals, arrivals, 0, 0, m.epoch, {}, {}, {}});
    m.mbarriers.back().seen.clear();
}
EXPORT void sim_mbarrier_expect(uint64_t* p, unsigned bytes) {
    MBarrier& b = mbarrier_at(p, PC);
    settle(b);
    b.bytes += bytes;
}
EXPORT void sim_mbarrier_arrive(uint64_t* p) {
    MBarrier& b = mbarrier_at(p, PC);
    settle(b);
    if (b.missing == 0) broken("arrives at an mbarrier whose phase has all its arrivals and lacks bytes", PC);
    const Warp& w = warp_of(*m.current);
    seen_by(b).add(w.seen);
    seen_by(b).add(m.current->linear / LANES, w.sync, m.current->linear, w.sync);
    if (--b.missing == 0 && !b.waiting.empty()) settle(b);
}
EXPORT void sim_mbarrier_wait(uint64_t* p, unsigned parity) {
    for (;;) {
        MBarrier& b = mbarrier_at(p, PC);
        if ((b.phase & 1) == parity) settle(b);
        if ((b.phase & 1) != parity) {
            warp_of(*m.current).seen.add(seen_by(b));
            return;
        }
        b.waiting.push_back(m.current);
        wait(MBARRIER);
    }
}

EXPORT void sim_tensor_copy(void* shared, const void* map, int x, int y, int z, uint64_t* mbarrier) {
    const void* pc = PC;
    MBarrier& b = mbarrier_at(mbarrier, pc);
    TensorCopy c{static_cast<unsigned char*>(shared), {}, {x, y, z}, stamp_of(*m.current)};
    std::memcpy(c.map, map, sizeof c.map);
    const Box box = box_of(c.map, pc);
    const uint64_t offset = uint64_t(c.shared - m.shared), bytes = box.bytes();
    in_shared(offset, unsigned(bytes), SIM_WRITE, pc);
    if (offset % 1024 != 0) broken("a tensor copy with 128-byte swizzle to byte " + std::to_string(offset) + ", which is no multiple of 1024", pc);
    for_rows(box, c.coordinates, [&](uint64_t, uint64_t from, uint64_t count) {
        if (count > 0) access_range(reinterpret_cast<const void*>(from), count * 2, SIM_READ, pc);
    });
    for (const MBarrier& other : m.mbarriers)
        for (const TensorCopy& o : other.copies) {
            const uint64_t begin = uint64_t(o.shared - m.shared);
            if (begin < offset + bytes && offset < begin + box_of(o.map, pc).bytes())
                broken("a tensor copy to byte " + std::to_string(offset) + " of shared memory, where another one is still under way to", pc);
        }
    for (unsigned w = 0; w * LANES < m.threads; w++)
        for (const Product& p : m.warps[w].products)
            if (is_read(p, offset, bytes))
                broken("a tensor copy to byte " + std::to_string(offset) + " of shared memory, which a wgmma of warp " + std::to_string(w) +
                           " that was not waited for reads",
                       pc);
    if (m.races) shared_access(dynamic_shadow(), reinterpret_cast<uint64_t>(shared), unsigned(bytes), SIM_WRITE, c.stamp | IN_FLIGHT, pc);
    b.copies.push_back(c);
    if (!b.waiting.empty()) settle(b);
}

EXPORT void sim_fence_proxy_async() {
    std::vector<std::pair<uint64_t, unsigned>>& stores = m.unfenced[m.current->linear];
    for (const auto& [address, bytes] : stores)
        for (uint64_t i = address - shared_begin(); i < address - shared_begin() + bytes; i++) {
            uint64_t& write = (m.words[i / 4].split == m.block_number ? m.bytes[i] : m.words[i / 4]).write;
            if (how_of(write) == 0 && thread_of(write) == m.current->linear) write |= BROUGHT;
        }
    stores.clear();
}

EXPORT void sim_wgmma_fence() {
    together(FENCE, 0, [](Warp& w) { w.fenced = true; });
}
EXPORT void sim_wgmma_commit() {
    together(COMMIT, 0, [](Warp& w) { w.open_group++; });
}
EXPORT void sim_wgmma_wait(unsigned pending_groups) {
    const void* pc = PC;
    together(WAIT, pending_groups, [&](Warp& w) {
        size_t done = 0;
        while (done < w.products.size() && w.products[done].group + pending_groups < w.open_group)
            compute(w.products[done++], m.current->linear / LANES % 4, pc);
        w.products.erase(w.products.begin(), w.products.begin() + long(done));
        w.fenced = false;
    });
}
EXPORT void sim_wgmma(unsigned columns, float* d, uint64_t a, uint64_t b, int add, int mn_major) {
    issue(columns, d, nullptr, a, b, add, mn_major != 0, PC);
}
EXPORT void sim_wgmma_registers(unsigned columns, float* d, const unsigned* a, uint64_t b, int add) {
    issue(columns, d, a, 0, b, add, true, PC);
}
EXPORT void sim_set_registers(unsigned count) {
    if (count < 24 || count > 256 || count % 8 != 0) broken("setmaxnreg of " + std::to_string(count), PC);
    together(REGISTERS, count, [](Warp&) {});
}
