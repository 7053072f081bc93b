// ptx_alu.cpp: what a lane does with its own registers: arithmetic, comparisons, conversions, moves.
#include <chrono>
#include <cmath>

#include "ptx.hpp"

namespace sim::ptx {

namespace {

template <typename T>
constexpr char letter() {
    return sizeof(T) == 8 ? 'l' : sizeof(T) == 4 ? 'w' : 'h';
}
template <typename T>
std::string pattern(unsigned inputs) {
    return std::string(1, char(letter<T>() & ~32)) + std::string(inputs, letter<T>());
}

// ---- values

template <typename D, typename A, typename F>
void unary(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<D>(w, i.o[0]);
    const auto* a = in<A>(w, i.o[1]);
    each(lanes, [&](unsigned l) { d[l] = stored<D>(F::of(A(a[l]))); });
}
template <typename T, typename F>
void binary(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    each(lanes, [&](unsigned l) { d[l] = stored<T>(F::of(T(a[l]), T(b[l]))); });
}
template <typename T, typename F>
void shift(Warp& w, const Instruction& i, uint32_t lanes) { // the second operand has 32 bits
    auto* d = out<T>(w, i.o[0]);
    const auto* a = in<T>(w, i.o[1]);
    const auto* b = in<uint32_t>(w, i.o[2]);
    each(lanes, [&](unsigned l) { d[l] = stored<T>(F::of(T(a[l]), b[l])); });
}
template <typename D, typename T, typename F>
void widening(Warp& w, const Instruction& i, uint32_t lanes) { // of a and b, and where there is one c, of the result's size
    auto* d = out<D>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    each(lanes, [&](unsigned l) { d[l] = F::of(T(a[l]), T(b[l])); });
}
template <typename D, typename T>
void widening_add(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<D>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    const auto* c = in<D>(w, i.o[3]);
    each(lanes, [&](unsigned l) { d[l] = D(std::make_unsigned_t<D>(D(T(a[l])) * D(T(b[l]))) + std::make_unsigned_t<D>(c[l])); });
}
template <typename T, typename F>
void ternary(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]), *c = in<T>(w, i.o[3]);
    each(lanes, [&](unsigned l) { d[l] = stored<T>(F::of(T(a[l]), T(b[l]), T(c[l]))); });
}
template <typename T, typename F>
void compare(Warp& w, const Instruction& i, uint32_t lanes) {
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    uint32_t r = 0;
    for (unsigned l = 0; l < LANES; l++) r |= uint32_t(F::of(T(a[l]), T(b[l]))) << l;
    set_predicate(w, i.o[0], lanes, r);
}
template <typename T>
void select(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    const uint32_t p = w.predicates[i.o[3]];
    each(lanes, [&](unsigned l) { d[l] = p >> l & 1 ? a[l] : b[l]; });
}

#define FUNCTION1(name, ...)  \
    struct name {             \
        template <typename T> \
        static auto of(T a) { \
            __VA_ARGS__       \
        }                     \
    };
#define FUNCTION2(name, ...)              \
    struct name {                         \
        template <typename T, typename U> \
        static auto of(T a, U b) {        \
            __VA_ARGS__                   \
        }                                 \
    };
#define FUNCTION3(name, ...)            \
    struct name {                       \
        template <typename T>           \
        static auto of(T a, T b, T c) { \
            __VA_ARGS__                 \
        }                               \
    };
template <typename T>
constexpr unsigned BITS = sizeof(T) * 8;

FUNCTION2(Add, return T(a + b);)
FUNCTION2(Sub, return T(a - b);)
FUNCTION2(Mul, return T(a * b);)
FUNCTION3(MulAdd, return T(a * b + c);)
FUNCTION3(Fused, return std::fma(a, b, c);)
FUNCTION2(And, return T(a & b);)
FUNCTION2(Or, return T(a | b);)
FUNCTION2(Xor, return T(a ^ b);)
FUNCTION1(Not, return T(~a);)
FUNCTION1(Negate, return T(T(0) - a);)
FUNCTION2(ShiftLeft, return b >= BITS<T> ? T(0) : T(a << b);)
FUNCTION2(ShiftRight, return T(a >> std::min<uint32_t>(b, BITS<T> - 1));) // of signed ones
FUNCTION2(ShiftRightUnsigned, return b >= BITS<T> ? T(0) : T(a >> b);)
FUNCTION2(Least, return a < b ? a : b;)
FUNCTION2(Greatest, return a > b ? a : b;)
FUNCTION1(Absolute, return T(a < 0 ? std::make_unsigned_t<T>(0) - std::make_unsigned_t<T>(a) : a);)
FUNCTION2(Divide, if (b == 0) return T(-1);
          if (std::is_signed_v<T> && b == T(-1)) return T(std::make_unsigned_t<T>(0) - std::make_unsigned_t<T>(a)); return T(a / b);)
FUNCTION2(Remainder, if (b == 0) return a; if (std::is_signed_v<T> && b == T(-1)) return T(0); return T(a % b);)
struct MulWide {
    template <typename T>
    static auto of(T a, T b) {
        using D = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
        return D(a) * D(b);
    }
};
struct MulHigh {
    template <typename T>
    static T of(T a, T b) {
        using D = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
        return T(D(a) * D(b) >> BITS<T>);
    }
};

// Of floats: a number is less than no NaN; +0 is more than -0.
template <typename T>
using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
template <typename T>
inline BitsOf<T> bits(T x) {
    BitsOf<T> b;
    std::memcpy(&b, &x, sizeof x);
    return b;
}
template <typename T>
inline T number(BitsOf<T> b) {
    T x;
    std::memcpy(&x, &b, sizeof x);
    return x;
}
FUNCTION2(FloatLeast, const T least = a < b || b != b ? a : b; return a == b ? number<T>(bits(a) | bits(b)) : least;)
FUNCTION2(FloatGreatest, const T greatest = a > b || b != b ? a : b; return a == b ? number<T>(bits(a) & bits(b)) : greatest;)
FUNCTION1(FloatNegate, return number<T>(bits(a) ^ BitsOf<T>(1) << (BITS<T> - 1));)
FUNCTION1(FloatAbsolute, return number<T>(bits(a) & ~(BitsOf<T>(1) << (BITS<T> - 1)));)
FUNCTION2(FloatDivide, return T(a / b);)
FUNCTION1(SquareRoot, return T(std::sqrt(a));)
FUNCTION1(Reciprocal, return T(T(1) / a);)
inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
FUNCTION1(Exp2, return std::exp2(a);)
FUNCTION1(Exp2Flushed, return flushed(std::exp2(flushed(a)));)
FUNCTION1(Log2, return std::log2(a);)
FUNCTION1(Log2Flushed, return flushed(std::log2(flushed(a)));)
FUNCTION1(ReciprocalRoot, return T(1) / std::sqrt(a);)
FUNCTION1(Sine, return std::sin(a);)
FUNCTION1(Cosine, return std::cos(a);)
// rcp.approx.ftz.f64 takes and gives the upper half of a number only.
FUNCTION1(ReciprocalUpper, const T upper = number<T>(bits(a) & ~uint64_t(0xffffffff));
          return number<T>(bits(T(1) / upper) & ~uint64_t(0xffffffff));)

// ---- comparisons
FUNCTION2(Eq, return a == b;)
FUNCTION2(Ne, return a != b && a == a && b == b;)
FUNCTION2(Lt, return a < b;)
FUNCTION2(Le, return a <= b;)
FUNCTION2(Gt, return a > b;)
FUNCTION2(Ge, return a >= b;)
FUNCTION2(Equ, return !(a < b || a > b);)
FUNCTION2(Neu, return a != b;)
FUNCTION2(Ltu, return !(a >= b);)
FUNCTION2(Leu, return !(a > b);)
FUNCTION2(Gtu, return !(a <= b);)
FUNCTION2(Geu, return !(a < b);)
FUNCTION2(Num, return a == a && b == b;)
FUNCTION2(NotNum, return a != a || b != b;)

// ---- conversions
template <typename D>
struct To {
    template <typename A>
    static D of(A a) {
        return D(a);
    }
};
// Of floats to integers: out of range is the nearest, NaN 0, or of 64 bits the least number.
template <typename D, int MODE>
struct ToInteger {
    template <typename A>
    static D of(A a) {
        if (a != a) return sizeof(D) == 8 ? D(uint64_t(1) << 63) : D(0);
        const A r = MODE == 'n' ? std::nearbyint(a) : MODE == 'z' ? std::trunc(a) : MODE == 'm' ? std::floor(a) : std::ceil(a);
        const A low = A(std::numeric_limits<D>::min()), high = std::ldexp(A(1), std::numeric_limits<D>::digits);
        return r <= low ? std::numeric_limits<D>::min() : r >= high ? std::numeric_limits<D>::max() : D(r);
    }
};
template <int MODE>
struct ToWhole {
    template <typename A>
    static A of(A a) {
        return MODE == 'n' ? std::nearbyint(a) : MODE == 'z' ? std::trunc(a) : MODE == 'm' ? std::floor(a) : std::ceil(a);
    }
};
inline uint32_t to_bf16(float x) { // the nearest, ties to even
    const uint32_t b = bits(x);
    return x != x ? 0x7fffu : (b + 0x7fffu + (b >> 16 & 1)) >> 16;
}
void to_bf16x2(Warp& w, const Instruction& i, uint32_t lanes) { // the first is the upper half
    auto* d = out<uint32_t>(w, i.o[0]);
    const auto *a = in<float>(w, i.o[1]), *b = in<float>(w, i.o[2]);
    each(lanes, [&](unsigned l) { d[l] = to_bf16(a[l]) << 16 | to_bf16(b[l]); });
}
struct ToBf16 {
    static uint16_t of(float a) { return uint16_t(to_bf16(a)); }
};

// ---- bits
FUNCTION1(Population, return uint32_t(sizeof(T) == 8 ? __builtin_popcountll(a) : __builtin_popcount(uint32_t(a)));)
FUNCTION1(LeadingZeros, return uint32_t(a == 0           ? BITS<T>
                                        : sizeof(T) == 8 ? unsigned(__builtin_clzll(a))
                                                         : unsigned(__builtin_clz(uint32_t(a))));)
FUNCTION1(ShiftToTop, return uint32_t(a == 0           ? 0xffffffffu
                                      : sizeof(T) == 8 ? unsigned(__builtin_clzll(a))
                                                       : unsigned(__builtin_clz(uint32_t(a))));)
FUNCTION1(TopBit,
          return uint32_t(a == 0 ? 0xffffffffu
                                 : BITS<T> - 1 - (sizeof(T) == 8 ? unsigned(__builtin_clzll(a)) : unsigned(__builtin_clz(uint32_t(a)))));)
FUNCTION1(Reversed, T r = 0; for (unsigned n = 0; n < BITS<T>; n++) r |= T(a >> n & 1) << (BITS<T> - 1 - n); return r;)

template <typename T>
void insert_bits(Warp& w, const Instruction& i, uint32_t lanes) { // the low bits of a, over b from a place on
    auto* d = out<T>(w, i.o[0]);
    const auto *a = in<T>(w, i.o[1]), *b = in<T>(w, i.o[2]);
    const auto *place = in<uint32_t>(w, i.o[3]), *length = in<uint32_t>(w, i.o[4]);
    each(lanes, [&](unsigned l) {
        const unsigned p = place[l] & 255, n = length[l] & 255;
        if (p >= BITS<T> || n == 0) {
            d[l] = b[l];
            return;
        }
        const T mask = (n >= BITS<T> ? ~T(0) : (T(1) << n) - 1) << p;
        d[l] = (b[l] & ~mask) | (T(a[l] << p) & mask);
    });
}
template <typename T>
void extract_bits(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const auto* a = in<T>(w, i.o[1]);
    const auto *place = in<uint32_t>(w, i.o[2]), *length = in<uint32_t>(w, i.o[3]);
    each(lanes, [&](unsigned l) {
        const unsigned p = place[l] & 255, n = length[l] & 255;
        d[l] = p >= BITS<T> || n == 0 ? 0 : T(a[l] >> p) & (n >= BITS<T> ? ~T(0) : (T(1) << n) - 1);
    });
}
void permute(Warp& w, const Instruction& i, uint32_t lanes) { // prmt.b32
    auto* d = out<uint32_t>(w, i.o[0]);
    const auto *a = in<uint32_t>(w, i.o[1]), *b = in<uint32_t>(w, i.o[2]), *c = in<uint32_t>(w, i.o[3]);
    each(lanes, [&](unsigned l) {
        const uint64_t both = uint64_t(b[l]) << 32 | a[l];
        uint32_t r = 0;
        for (unsigned n = 0; n < 4; n++) {
            const unsigned s = c[l] >> 4 * n & 15;
            uint32_t byte = uint32_t(both >> 8 * (s & 7)) & 255;
            if (s & 8) byte = byte & 128 ? 255 : 0;
            r |= byte << 8 * n;
        }
        d[l] = r;
    });
}

// ---- predicates
template <typename F>
void logic(Warp& w, const Instruction& i, uint32_t lanes) {
    set_predicate(w, i.o[0], lanes, F::of(w.predicates[i.o[1]], w.predicates[i.o[2]]));
}
void logic_not(Warp& w, const Instruction& i, uint32_t lanes) { set_predicate(w, i.o[0], lanes, ~w.predicates[i.o[1]]); }
void logic_move(Warp& w, const Instruction& i, uint32_t lanes) { set_predicate(w, i.o[0], lanes, w.predicates[i.o[1]]); }

// ---- moves
template <typename T>
void move(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const auto* a = in<T>(w, i.o[1]);
    each(lanes, [&](unsigned l) { d[l] = a[l]; });
}
template <typename D, typename A>
void pack(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<D>(w, i.o[0]);
    const auto *a = in<A>(w, i.o[1]), *b = in<A>(w, i.o[2]);
    each(lanes, [&](unsigned l) { d[l] = D(A(a[l])) | D(A(b[l])) << BITS<A>; });
}
template <typename D, typename A>
void unpack(Warp& w, const Instruction& i, uint32_t lanes) {
    auto *d = out<D>(w, i.o[0]), *e = out<D>(w, i.o[1]);
    const auto* a = in<A>(w, i.o[2]);
    each(lanes, [&](unsigned l) {
        const A x = a[l];
        d[l] = D(x), e[l] = D(x >> BITS<D>);
    });
}
template <typename T>
void special(Warp& w, const Instruction& i, uint32_t lanes) {
    auto* d = out<T>(w, i.o[0]);
    const dim3 n = machine.launch->block, g = machine.launch->grid, b = machine.block;
    each(lanes, [&](unsigned l) {
        const unsigned t = w.number * LANES + l;
        const T values[] = {t % n.x, t / n.x % n.y, t / n.x / n.y, n.x, n.y, n.z, b.x, b.y, b.z, g.x, g.y, g.z, l, w.number};
        d[l] = i.number < 14 ? values[i.number] : T(std::chrono::steady_clock::now().time_since_epoch().count());
    });
}

// ---- the table

template <typename T>
void add_integers(Forms& f, const std::string& s) { // suffix: ".s32"
    using U = std::make_unsigned_t<T>;
    const std::string two = pattern<T>(2), three = pattern<T>(3), one = pattern<T>(1);
    f["add" + s] = {two, binary<U, Add>};
    f["sub" + s] = {two, binary<U, Sub>};
    f["mul.lo" + s] = {two, binary<U, Mul>};
    f["mad.lo" + s] = {three, ternary<U, MulAdd>};
    f["mul.hi" + s] = {two, binary<T, MulHigh>};
    f["div" + s] = {two, binary<T, Divide>};
    f["rem" + s] = {two, binary<T, Remainder>};
    f["min" + s] = {two, binary<T, Least>};
    f["max" + s] = {two, binary<T, Greatest>};
    f["shr" + s] = {one + "w", std::is_signed_v<T> ? shift<T, ShiftRight> : shift<T, ShiftRightUnsigned>};
    if (std::is_signed_v<T>) f["neg" + s] = {one, unary<U, U, Negate>};
    if constexpr (std::is_signed_v<T>) f["abs" + s] = {one, unary<T, T, Absolute>};
    const std::string set = "P" + std::string(2, letter<T>());
    f["setp.eq" + s] = {set, compare<T, Eq>};
    f["setp.ne" + s] = {set, compare<T, Ne>};
    f["setp.lt" + s] = {set, compare<T, Lt>};
    f["setp.le" + s] = {set, compare<T, Le>};
    f["setp.gt" + s] = {set, compare<T, Gt>};
    f["setp.ge" + s] = {set, compare<T, Ge>};
}
template <typename T>
void add_bits(Forms& f, const std::string& s) {
    const std::string two = pattern<T>(2), one = pattern<T>(1), set = "P" + std::string(2, letter<T>());
    f["and" + s] = {two, binary<T, And>};
    f["or" + s] = {two, binary<T, Or>};
    f["xor" + s] = {two, binary<T, Xor>};
    f["not" + s] = {one, unary<T, T, Not>};
    f["shl" + s] = {one + "w", shift<T, ShiftLeft>};
    f["shr" + s] = {one + "w", shift<T, ShiftRightUnsigned>};
    f["setp.eq" + s] = {set, compare<T, Eq>};
    f["setp.ne" + s] = {set, compare<T, Ne>};
}
template <typename T>
void add_floats(Forms& f, const std::string& s) {
    const std::string two = pattern<T>(2), three = pattern<T>(3), one = pattern<T>(1), set = "P" + std::string(2, letter<T>());
    for (const char* rounding : {"", ".rn"}) {
        f["add" + std::string(rounding) + s] = {two, binary<T, Add>};
        f["sub" + std::string(rounding) + s] = {two, binary<T, Sub>};
        f["mul" + std::string(rounding) + s] = {two, binary<T, Mul>};
    }
    f["fma.rn" + s] = {three, ternary<T, Fused>};
    f["div.rn" + s] = {two, binary<T, FloatDivide>};
    f["sqrt.rn" + s] = {one, unary<T, T, SquareRoot>};
    f["rcp.rn" + s] = {one, unary<T, T, Reciprocal>};
    f["min" + s] = {two, binary<T, FloatLeast>};
    f["max" + s] = {two, binary<T, FloatGreatest>};
    f["neg" + s] = {one, unary<T, T, FloatNegate>};
    f["abs" + s] = {one, unary<T, T, FloatAbsolute>};
    f["setp.eq" + s] = {set, compare<T, Eq>};
    f["setp.ne" + s] = {set, compare<T, Ne>};
    f["setp.lt" + s] = {set, compare<T, Lt>};
    f["setp.le" + s] = {set, compare<T, Le>};
    f["setp.gt" + s] = {set, compare<T, Gt>};
    f["setp.ge" + s] = {set, compare<T, Ge>};
    f["setp.equ" + s] = {set, compare<T, Equ>};
    f["setp.neu" + s] = {set, compare<T, Neu>};
    f["setp.ltu" + s] = {set, compare<T, Ltu>};
    f["setp.leu" + s] = {set, compare<T, Leu>};
    f["setp.gtu" + s] = {set, compare<T, Gtu>};
    f["setp.geu" + s] = {set, compare<T, Geu>};
    f["setp.num" + s] = {set, compare<T, Num>};
    f["setp.nan" + s] = {set, compare<T, NotNum>};
    f["cvt.rni" + s + s] = {one, unary<T, T, ToWhole<'n'>>};
    f["cvt.rzi" + s + s] = {one, unary<T, T, ToWhole<'z'>>};
    f["cvt.rmi" + s + s] = {one, unary<T, T, ToWhole<'m'>>};
    f["cvt.rpi" + s + s] = {one, unary<T, T, ToWhole<'p'>>};
}
template <typename D, typename A>
void add_conversion(Forms& f, const char* d, const char* a) {
    f[std::string("cvt.") + d + "." + a] = {std::string(1, char(letter<D>() & ~32)) + letter<A>(), unary<D, A, To<D>>};
}
template <typename D>
void add_conversions_to(Forms& f, const char* d) {
    add_conversion<D, uint16_t>(f, d, "u16");
    add_conversion<D, int16_t>(f, d, "s16");
    add_conversion<D, uint32_t>(f, d, "u32");
    add_conversion<D, int32_t>(f, d, "s32");
    add_conversion<D, uint64_t>(f, d, "u64");
    add_conversion<D, int64_t>(f, d, "s64");
}
template <typename I, typename F>
void add_float_conversions(Forms& f, const std::string& i, const std::string& s) {
    const std::string to_integer{char(letter<I>() & ~32), letter<F>()}, to_float{char(letter<F>() & ~32), letter<I>()};
    f["cvt.rni." + i + s] = {to_integer, unary<I, F, ToInteger<I, 'n'>>};
    f["cvt.rzi." + i + s] = {to_integer, unary<I, F, ToInteger<I, 'z'>>};
    f["cvt.rmi." + i + s] = {to_integer, unary<I, F, ToInteger<I, 'm'>>};
    f["cvt.rpi." + i + s] = {to_integer, unary<I, F, ToInteger<I, 'p'>>};
    f["cvt.rn" + s + "." + i] = {to_float, unary<F, I, To<F>>};
}

} // namespace

void add_arithmetic(Forms& f) {
    add_integers<int16_t>(f, ".s16");
    add_integers<uint16_t>(f, ".u16");
    add_integers<int32_t>(f, ".s32");
    add_integers<uint32_t>(f, ".u32");
    add_integers<int64_t>(f, ".s64");
    add_integers<uint64_t>(f, ".u64");
    add_bits<uint16_t>(f, ".b16");
    add_bits<uint32_t>(f, ".b32");
    add_bits<uint64_t>(f, ".b64");
    add_floats<float>(f, ".f32");
    add_floats<double>(f, ".f64");
    f["mul.wide.s32"] = {"Lww", widening<int64_t, int32_t, MulWide>};
    f["mul.wide.u32"] = {"Lww", widening<uint64_t, uint32_t, MulWide>};
    f["mad.wide.s32"] = {"Lwwl", widening_add<int64_t, int32_t>};
    f["mad.wide.u32"] = {"Lwwl", widening_add<uint64_t, uint32_t>};
    f["ex2.approx.f32"] = {"Ww", unary<float, float, Exp2>};
    f["ex2.approx.ftz.f32"] = {"Ww", unary<float, float, Exp2Flushed>};
    f["lg2.approx.f32"] = {"Ww", unary<float, float, Log2>};
    f["lg2.approx.ftz.f32"] = {"Ww", unary<float, float, Log2Flushed>};
    f["rcp.approx.f32"] = {"Ww", unary<float, float, Reciprocal>};
    f["rsqrt.approx.f32"] = {"Ww", unary<float, float, ReciprocalRoot>};
    f["sqrt.approx.f32"] = {"Ww", unary<float, float, SquareRoot>};
    f["sin.approx.f32"] = {"Ww", unary<float, float, Sine>};
    f["cos.approx.f32"] = {"Ww", unary<float, float, Cosine>};
    f["div.approx.f32"] = f["div.full.f32"] = {"Www", binary<float, FloatDivide>};
    f["rcp.approx.ftz.f64"] = {"Ll", unary<double, double, ReciprocalUpper>};

    add_conversions_to<uint16_t>(f, "u16");
    add_conversions_to<int16_t>(f, "s16");
    add_conversions_to<uint32_t>(f, "u32");
    add_conversions_to<int32_t>(f, "s32");
    add_conversions_to<uint64_t>(f, "u64");
    add_conversions_to<int64_t>(f, "s64");
    add_float_conversions<int16_t, float>(f, "s16", ".f32");
    add_float_conversions<uint16_t, float>(f, "u16", ".f32");
    add_float_conversions<int16_t, double>(f, "s16", ".f64");
    add_float_conversions<uint16_t, double>(f, "u16", ".f64");
    add_float_conversions<int32_t, float>(f, "s32", ".f32");
    add_float_conversions<uint32_t, float>(f, "u32", ".f32");
    add_float_conversions<int64_t, float>(f, "s64", ".f32");
    add_float_conversions<uint64_t, float>(f, "u64", ".f32");
    add_float_conversions<int32_t, double>(f, "s32", ".f64");
    add_float_conversions<uint32_t, double>(f, "u32", ".f64");
    add_float_conversions<int64_t, double>(f, "s64", ".f64");
    add_float_conversions<uint64_t, double>(f, "u64", ".f64");
    f["cvt.rn.f32.f64"] = {"Wl", unary<float, double, To<float>>};
    f["cvt.f64.f32"] = {"Lw", unary<double, float, To<double>>};
    f["cvt.rn.bf16x2.f32"] = {"Www", to_bf16x2};
    f["cvt.rn.bf16.f32"] = {"Hw", unary<uint16_t, float, ToBf16>};

    f["popc.b32"] = {"Ww", unary<uint32_t, uint32_t, Population>};
    f["popc.b64"] = {"Wl", unary<uint32_t, uint64_t, Population>};
    f["clz.b32"] = {"Ww", unary<uint32_t, uint32_t, LeadingZeros>};
    f["clz.b64"] = {"Wl", unary<uint32_t, uint64_t, LeadingZeros>};
    f["bfind.u32"] = {"Ww", unary<uint32_t, uint32_t, TopBit>};
    f["bfind.u64"] = {"Wl", unary<uint32_t, uint64_t, TopBit>};
    f["bfind.shiftamt.u32"] = {"Ww", unary<uint32_t, uint32_t, ShiftToTop>};
    f["bfind.shiftamt.u64"] = {"Wl", unary<uint32_t, uint64_t, ShiftToTop>};
    f["brev.b32"] = {"Ww", unary<uint32_t, uint32_t, Reversed>};
    f["brev.b64"] = {"Ll", unary<uint64_t, uint64_t, Reversed>};
    f["bfi.b32"] = {"Wwwww", insert_bits<uint32_t>};
    f["bfi.b64"] = {"Lllww", insert_bits<uint64_t>};
    f["bfe.u32"] = {"Wwww", extract_bits<uint32_t>};
    f["bfe.u64"] = {"Llww", extract_bits<uint64_t>};
    f["prmt.b32"] = {"Wwww", permute};

    f["and.pred"] = {"Ppp", logic<And>};
    f["or.pred"] = {"Ppp", logic<Or>};
    f["xor.pred"] = {"Ppp", logic<Xor>};
    f["not.pred"] = {"Pp", logic_not};
    f["mov.pred"] = {"Pp", logic_move};
    for (const char* type : {"b16", "u16", "s16"}) {
        f[std::string("mov.") + type] = {"Hh", move<uint16_t>};
        f[std::string("selp.") + type] = {"Hhhp", select<uint16_t>};
    }
    for (const char* type : {"b32", "u32", "s32", "f32"}) {
        f[std::string("mov.") + type] = {"Ww", move<uint32_t>};
        f[std::string("selp.") + type] = {"Wwwp", select<uint32_t>};
    }
    for (const char* type : {"b64", "u64", "s64", "f64"}) {
        f[std::string("mov.") + type] = {"Ll", move<uint64_t>};
        f[std::string("selp.") + type] = {"Lllp", select<uint64_t>};
    }
    f["mov.b64.pack"] = {"L{ww}", pack<uint64_t, uint32_t>};
    f["mov.b32.pack"] = {"W{hh}", pack<uint32_t, uint16_t>};
    f["mov.b64.unpack"] = {"{WW}l", unpack<uint32_t, uint64_t>};
    f["mov.b32.unpack"] = {"{HH}w", unpack<uint16_t, uint32_t>};
    f["mov special 32"] = {"W", special<uint32_t>};
    f["mov special 64"] = {"L", special<uint64_t>};
}

} // namespace sim::ptx
