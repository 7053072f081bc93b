// ptx_atomics.cpp: atomics, whose lanes go one after the other, and fences.
#include "ptx.hpp"

namespace sim::ptx {

namespace {

struct Plus {
    template <typename T>
    static T of(T old, T x, T) {
        return T(old + x);
    }
};
struct Lesser {
    template <typename T>
    static T of(T old, T x, T) {
        return x < old ? x : old;
    }
};
struct Greater {
    template <typename T>
    static T of(T old, T x, T) {
        return x > old ? x : old;
    }
};
struct Both {
    template <typename T>
    static T of(T old, T x, T) {
        return old & x;
    }
};
struct Either {
    template <typename T>
    static T of(T old, T x, T) {
        return old | x;
    }
};
struct Differ {
    template <typename T>
    static T of(T old, T x, T) {
        return old ^ x;
    }
};
struct Swap {
    template <typename T>
    static T of(T, T x, T) {
        return x;
    }
};
struct CompareSwap {
    template <typename T>
    static T of(T old, T expected, T x) {
        return old == expected ? x : old;
    }
};
struct Increment {
    template <typename T>
    static T of(T old, T last, T) {
        return old >= last ? T(0) : T(old + 1);
    }
};
struct Decrement {
    template <typename T>
    static T of(T old, T last, T) {
        return old == 0 || old > last ? last : T(old - 1);
    }
};

template <typename T, typename F>
T update(unsigned char* p, T x, T y) { // the host may look on
    using B = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    B* at = reinterpret_cast<B*>(p);
    B before = __atomic_load_n(at, __ATOMIC_RELAXED), after;
    T old;
    do {
        std::memcpy(&old, &before, sizeof old);
        const T next = F::of(old, x, y);
        std::memcpy(&after, &next, sizeof next);
    } while (!__atomic_compare_exchange_n(at, &before, after, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}
enum Where { GLOBAL, SHARED, ANYWHERE };
// number: 1 if the old value is a result; the operands are it, the address and its offset, x, perhaps y
template <typename T, typename F, Where WHERE>
void atomic(Warp& w, const Instruction& i, uint32_t lanes) {
    const int32_t* o = i.o + (i.number & 1);
    const bool two = i.number & 2;
    T results[LANES];
    auto one = [&](unsigned l) {
        const uint64_t address =
            WHERE == SHARED ? in<uint32_t>(w, o[0])[l] + uint32_t(o[1]) : in<uint64_t>(w, o[0])[l] + uint64_t(int64_t(o[1]));
        const T x = in<T>(w, o[2])[l], y = two ? in<T>(w, o[3])[l] : T();
        unsigned char* at;
        if (WHERE == SHARED || (WHERE == ANYWHERE && in_shared_space(address))) {
            const uint32_t offset = WHERE == SHARED ? uint32_t(address) : uint32_t(address - reinterpret_cast<uint64_t>(shared_space()));
            at = updated_shared(w, l, offset, sizeof(T));
        } else
            at = accessed(w, l, address, sizeof(T), ATOMIC);
        results[l] = update<T, F>(at, x, y);
    };
    machine.events++;
    if (settings.order == REVERSE)
        for (unsigned l = LANES; l-- > 0;) {
            if (lanes >> l & 1) one(l);
        }
    else
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) one(first(rest));
    if ((i.number & 1) == 0) return;
    auto* d = out<T>(w, i.o[0]);
    each(lanes, [&](unsigned l) { d[l] = results[l]; });
}

void store_release(Warp& w, const Instruction& i, uint32_t lanes) { // st.release.sys: the host sees what came before, too
    machine.events++;
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
        const unsigned l = first(rest);
        unsigned char* at = accessed(w, l, in<uint64_t>(w, i.o[0])[l] + uint64_t(int64_t(i.o[1])), 8, WRITE);
        __atomic_store_n(reinterpret_cast<uint64_t*>(at), in<uint64_t>(w, i.o[2])[l], __ATOMIC_RELEASE);
    }
}
void fence(Warp&, const Instruction&, uint32_t) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// ---- the table

template <typename T, typename F>
void add_atomic(Forms& f, const std::string& operation, bool two) {
    const char letter = sizeof(T) == 8 ? 'l' : 'w';
    const std::string values(two ? 2 : 1, letter), result(1, char(letter & ~32));
    for (int with_result : {1, 0}) {
        if (!with_result && two) continue;
        const std::string name = with_result ? "atom" : "red", before = with_result ? result : "";
        const int number = with_result | (two ? 2 : 0);
        f[name + ".global." + operation] = {before + "[l]" + values, atomic<T, F, GLOBAL>, Kind::PLAIN, -1, number};
        f[name + ".shared." + operation] = {before + "[w]" + values, atomic<T, F, SHARED>, Kind::PLAIN, -1, number};
        f[name + "." + operation] = {before + "[l]" + values, atomic<T, F, ANYWHERE>, Kind::PLAIN, -1, number};
    }
}

} // namespace

void add_atomics(Forms& f) {
    f["st.release.sys.global.b64"] = f["st.release.sys.global.u64"] = {"[l]l", store_release};
    for (const char* name : {"membar.cta", "membar.gl", "membar.sys", "fence.acq_rel.cta", "fence.acq_rel.gpu", "fence.acq_rel.sys",
                             "fence.sc.cta", "fence.sc.gpu", "fence.sc.sys"})
        f[name] = {"", fence};

    add_atomic<uint32_t, Plus>(f, "add.u32", false);
    add_atomic<uint32_t, Plus>(f, "add.s32", false);
    add_atomic<uint64_t, Plus>(f, "add.u64", false);
    add_atomic<float, Plus>(f, "add.f32", false);
    add_atomic<double, Plus>(f, "add.f64", false);
    add_atomic<uint32_t, Lesser>(f, "min.u32", false);
    add_atomic<int32_t, Lesser>(f, "min.s32", false);
    add_atomic<uint64_t, Lesser>(f, "min.u64", false);
    add_atomic<int64_t, Lesser>(f, "min.s64", false);
    add_atomic<uint32_t, Greater>(f, "max.u32", false);
    add_atomic<int32_t, Greater>(f, "max.s32", false);
    add_atomic<uint64_t, Greater>(f, "max.u64", false);
    add_atomic<int64_t, Greater>(f, "max.s64", false);
    add_atomic<uint32_t, Both>(f, "and.b32", false);
    add_atomic<uint32_t, Either>(f, "or.b32", false);
    add_atomic<uint32_t, Differ>(f, "xor.b32", false);
    add_atomic<uint32_t, Swap>(f, "exch.b32", false);
    add_atomic<uint64_t, Swap>(f, "exch.b64", false);
    add_atomic<uint32_t, CompareSwap>(f, "cas.b32", true);
    add_atomic<uint64_t, CompareSwap>(f, "cas.b64", true);
    add_atomic<uint32_t, Increment>(f, "inc.u32", false);
    add_atomic<uint32_t, Decrement>(f, "dec.u32", false);
}

} // namespace sim::ptx
