// ptx_warps.cpp: what the lanes of a warp do together, in registers: shuffles, votes, mma; and what stands in the way of their going on.
#include "ptx.hpp"

namespace sim::ptx {

namespace {

// ---- exchanges: all lanes of the mask are here
enum Shuffle { BY_INDEX, BY_XOR, UP, DOWN };
void shuffle(Warp& w, const Instruction& i, uint32_t lanes) { // d|p, a, b, c, mask
    const auto *a = in<uint32_t>(w, i.o[2]), *b = in<uint32_t>(w, i.o[3]), *c = in<uint32_t>(w, i.o[4]);
    uint32_t values[LANES], results[LANES], in_range = 0;
    std::memcpy(values, a, sizeof values);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        const unsigned by = b[l] & 31, clamp = c[l] & 31, segment = c[l] >> 8 & 31;
        const int last = int((l & segment) | (clamp & ~segment)), begin = int(l & segment);
        int from = 0;
        bool inside = false;
        switch (i.number) {
            case BY_INDEX: from = begin | int(by & ~segment), inside = from <= last; break;
            case BY_XOR: from = int(l ^ by), inside = from <= last; break;
            case UP: from = int(l) - int(by), inside = from >= last; break;
            case DOWN: from = int(l + by), inside = from <= last; break;
        }
        if (!inside) from = int(l);
        if ((lanes >> from & 1) == 0)
            report(w, l, LAUNCH_FAILED, "takes the value of lane " + std::to_string(from) + ", which does not take part in it");
        results[l] = values[from];
        in_range |= uint32_t(inside) << l;
    }
    auto* d = out<uint32_t>(w, i.o[0]);
    each(lanes, [&](unsigned l) { d[l] = results[l]; });
    if (i.o[1] != NONE) set_predicate(w, i.o[1], lanes, in_range);
}
enum Vote { ANY, EVERY, UNIFORM, BALLOT };
void vote(Warp& w, const Instruction& i, uint32_t lanes) {
    const uint32_t yes = w.predicates[i.o[1]] & lanes;
    set_predicate(w, i.o[0], lanes, (i.number == ANY ? yes != 0 : i.number == EVERY ? yes == lanes : yes == lanes || yes == 0) ? ALL : 0);
}
void ballot(Warp& w, const Instruction& i, uint32_t lanes) {
    const uint32_t yes = w.predicates[i.o[1]] & lanes;
    auto* d = out<uint32_t>(w, i.o[0]);
    each(lanes, [&](unsigned l) { d[l] = yes; });
}
template <typename T>
void match_any(Warp& w, const Instruction& i, uint32_t lanes) {
    T values[LANES];
    std::memcpy(values, in<T>(w, i.o[1]), sizeof values);
    auto* d = out<uint32_t>(w, i.o[0]);
    each(lanes, [&](unsigned l) {
        uint32_t same = 0;
        for (unsigned o = 0; o < LANES; o++) same |= uint32_t(values[o] == values[l]) << o;
        d[l] = same & lanes;
    });
}
void elect(Warp& w, const Instruction& i, uint32_t lanes) {
    const unsigned leader = first(lanes);
    auto* d = out<uint32_t>(w, i.o[0]);
    each(lanes, [&](unsigned l) { d[l] = leader; });
    if (i.o[1] != NONE) set_predicate(w, i.o[1], lanes, 1u << leader);
}
void active_mask(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<uint32_t>(w, i.o[0]);
    each(lanes, [&](unsigned l) { d[l] = lanes; });
}
void nothing(Warp&, const Instruction&, uint32_t) {}
void sync_warp(Warp& w, const Instruction&, uint32_t) { next_tick(w); }
void trap(Warp& w, const Instruction&, uint32_t lanes) { report(w, first(lanes), ASSERT, "__trap()"); }

// mma.m16n8k16 of bf16: with g = lane / 4 and t = lane % 4, a's element i is in row g, or g + 8 of i = 2, 3, 6, 7, and column
// 2 t + i % 2, 8 more from i = 4; b's in row 2 t + i % 2, 8 more from i = 2, and column g; c's in row g, or g + 8 from i = 2, and
// column 2 t + i % 2.
typedef float Row __attribute__((vector_size(32), may_alias, aligned(4)));
void mma(Warp& w, const Instruction& i, uint32_t) {
    alignas(32) float a[16][16], b[16][8], c[16][8];
    machine.counts.tensor_operations += 2 * 16 * 8 * 16;
    const int32_t* o = i.o;
    for (unsigned l = 0; l < LANES; l++) {
        const unsigned g = l / 4, t = l % 4;
        for (unsigned r = 0; r < 4; r++) { // register r has elements 2 r and 2 r + 1
            const uint32_t x = in<uint32_t>(w, o[4 + r])[l];
            float* to = &a[g + (r & 1 ? 8 : 0)][2 * t + (r & 2 ? 8 : 0)];
            to[0] = bf16_value(uint16_t(x)), to[1] = bf16_value(uint16_t(x >> 16));
        }
        for (unsigned r = 0; r < 2; r++) {
            const uint32_t x = in<uint32_t>(w, o[8 + r])[l];
            b[2 * t + 8 * r][g] = bf16_value(uint16_t(x)), b[2 * t + 8 * r + 1][g] = bf16_value(uint16_t(x >> 16));
        }
        for (unsigned e = 0; e < 4; e++) c[g + (e & 2 ? 8 : 0)][2 * t + (e & 1)] = in<float>(w, o[10 + e])[l];
    }
    for (unsigned row = 0; row < 16; row++) {
        Row sum = *reinterpret_cast<Row*>(c[row]);
        for (unsigned k = 0; k < 16; k++) sum = sum + a[row][k] * *reinterpret_cast<const Row*>(b[k]);
        *reinterpret_cast<Row*>(c[row]) = sum;
    }
    for (unsigned l = 0; l < LANES; l++)
        for (unsigned e = 0; e < 4; e++) out<float>(w, o[e])[l] = c[l / 4 + (e & 2 ? 8 : 0)][2 * (l % 4) + (e & 1)];
}

} // namespace

void add_warps(Forms& f) {
    const char* shuffles[] = {"idx", "bfly", "up", "down"};
    for (int n = 0; n < 4; n++) f[std::string("shfl.sync.") + shuffles[n] + ".b32"] = {"W|Pwwww", shuffle, Kind::MASKED, 5, n};
    const char* votes[] = {"any", "all", "uni"};
    for (int n = 0; n < 3; n++) f[std::string("vote.sync.") + votes[n] + ".pred"] = {"Ppw", vote, Kind::MASKED, 2, n};
    f["vote.sync.ballot.b32"] = {"Wpw", ballot, Kind::MASKED, 2};
    f["match.any.sync.b32"] = {"Www", match_any<uint32_t>, Kind::MASKED, 2};
    f["match.any.sync.b64"] = {"Wlw", match_any<uint64_t>, Kind::MASKED, 2};
    f["elect.sync"] = {"W|Pw", elect, Kind::MASKED, 2};
    f["activemask.b32"] = {"W", active_mask};
    f["bar.warp.sync"] = {"w", sync_warp, Kind::SYNC, 0};
    f["trap"] = {"", trap};
    f["nanosleep.u32"] = {"w", nothing, Kind::POLL};
    f["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = {"{WWWW}{wwww}{ww}{wwww}", mma, Kind::ALIGNED};
}

} // namespace sim::ptx
