// ptx.hpp: an engine that runs PTX, the text that nvcc makes of a .cu file, as its parts share it: ptx_parse.cpp (text to statements),
// ptx_compile.cpp (statements to instructions), ptx_alu.cpp, ptx_warps.cpp, ptx_memory.cpp, ptx_atomics.cpp and ptx_async.cpp (what
// instructions do) and ptx_run.cpp (warps, blocks, launches). It knows nothing of the machine that runs kernels compiled by g++
// (machine.hpp): a second reading.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <random>
#include <string_view>

#include "sim.hpp"

namespace sim::ptx {

constexpr unsigned LANES = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / LANES;
constexpr uint32_t ALL = 0xffffffffu;
constexpr uint32_t SHARED_BEGIN = 1024; // as on compute capability 9.0, where the system has the first KiB of a block
constexpr uint32_t SHARED_END = 256 << 10;
constexpr uint64_t PARAMETER_SPACE = 32 << 10;

// ---- text to statements --------------------------------------------------------------------------------------------------------

struct Operand {
    enum Kind { NAME, INTEGER, FLOAT, DOUBLE, ADDRESS, LIST } kind;
    std::string_view name;      // of NAME
    uint64_t bits = 0;          // of the numbers; of ADDRESS the offset
    std::vector<Operand> parts; // of LIST; of ADDRESS the base, then perhaps a list of coordinates; of NAME what follows a '|'
};
struct Place { // of the .cu file, from -lineinfo
    uint32_t file, line;
};
struct Statement {
    enum Kind { INSTRUCTION, LABEL, REGISTERS, SHARED, PARAMETER, OPEN, CLOSE } kind;
    uint32_t line;
    Place place;
    std::string_view name;  // opcode with its modifiers; label; variable
    std::string_view guard; // predicate
    bool guard_negated;
    std::vector<Operand> operands;
    std::string_view type;         // of declarations: "b32"
    uint32_t count = 1, align = 0; // of declarations; registers: count 0 is one with this very name
};
struct Variable {
    std::string_view name;
    uint32_t bytes, align, offset;
};
struct Source { // a .entry or .func
    std::string_view name;
    bool entry;
    uint32_t line, max_threads = 1024;
    std::vector<Variable> results, parameters;
    std::vector<Statement> body;
};
struct Text {
    std::string text;
    std::string target; // "sm_90a"
    std::vector<Source> sources;
    std::vector<Variable> dynamic_shared; // .extern .shared
    std::map<uint32_t, std::string> files;
};
struct Refusal { // of a text, thrown
    uint32_t line;
    std::string why;
};
void parse(Text& text);
unsigned bytes_of(std::string_view type); // 0: no such type

// ---- instructions ----------------------------------------------------------------------------------------------------------------

struct Warp;
struct Instruction;
using Handler = void (*)(Warp& w, const Instruction& i, uint32_t lanes);
enum class Kind : uint8_t {
    PLAIN,
    BRANCH,
    EXIT,
    ALIGNED, // all lanes of the warp together
    MASKED,  // all lanes of a mask together
    SYNC,    // as MASKED, without values: lanes may come to different ones
    POLL,    // after it others may go first
    BARRIER,
};
// Operands are words: a register or constant (a word offset into the warp's registers, or ~ that into the constants), a predicate's
// index, an offset or an immediate, as the form's pattern says.
struct Instruction {
    Handler run;
    const int32_t* o;
    uint32_t line, target;
    Place place;
    int32_t guard = -1;
    bool guard_negated;
    Kind kind;
    int8_t mask_at; // operand of MASKED and SYNC that is the mask
    bool touches;   // registers that a wgmma of the kernel uses
    int32_t number; // of the form: what a handler that serves several ones is told
    std::string_view name;
    uint32_t references, reference_count; // in Kernel::references
};
constexpr int32_t NONE = INT32_MIN; // an operand that is left out

// What an opcode with its modifiers is. The pattern has a letter for each operand, big if it is written:
// w 32 bits, l 64, h 16, x 16 or 32 bits, p a predicate, i an immediate number, a a kernel parameter; [w] or [l] an address and its
// offset, [l3] with as many coordinates as the digit says; {..} a list; W|P with a predicate that may be left out; ? before what may be
// left out.
struct Form {
    std::string pattern;
    Handler run;
    Kind kind = Kind::PLAIN;
    int8_t mask_at = -1;
    int32_t number = 0;
};
using Forms = std::unordered_map<std::string, Form>;
void add_arithmetic(Forms& forms);
void add_warps(Forms& forms);
void add_memory(Forms& forms);
void add_atomics(Forms& forms);
void add_async(Forms& forms);

struct Reference {
    uint32_t at; // operand
    bool write;
};
struct Kernel {
    std::string name;
    const Text* text;
    std::vector<Variable> parameters;
    uint32_t parameter_bytes = 0, max_threads = 1024;
    uint32_t static_shared = 0, dynamic_align = 16;
    std::vector<Variable> shared; // its variables; offset: address
    std::vector<Instruction> code;
    std::vector<int32_t> operands;
    std::vector<Reference> references;
    std::vector<uint32_t> constants;
    uint32_t words = 0, predicates = 0;       // of registers
    uint32_t wgmma_begin = 0, wgmma_rows = 0; // rows of registers that products use
    bool asynchronous = false;                // uses the async proxy
};
struct Image {
    Text text;
    std::map<std::string, Kernel> kernels;
};
Kernel compile(const Text& text, const Source& source);
unsigned char* parameter_space(); // where parameters of the running kernel lie
unsigned char* shared_space();    // of the running block: byte SHARED_BEGIN and on are its

// ---- the machine -------------------------------------------------------------------------------------------------------------------

enum class Wait : uint8_t { RUNS, LANES_MISSING, POLLED, AT_BARRIER };
struct Group { // lanes that are at one instruction
    uint32_t pc, lanes;
    Wait wait;
    uint8_t barrier;
};

struct Product { // wgmma of a warp's 16 rows, done at its wait
    const Instruction* instruction;
    unsigned columns, group;
    bool add, a_in_registers, a_transposed, b_transposed;
    float a_sign, b_sign;
    uint64_t a, b; // descriptors
    uint32_t a_registers[LANES][4];
};

struct AsyncCopy { // cp.async
    uint32_t shared, bytes, source_bytes, group;
    uint64_t global;
};
struct BulkStore { // cp.async.bulk and cp.reduce.async.bulk out of shared memory
    const Instruction* instruction;
    uint64_t global;
    uint32_t shared, bytes, group;
    bool reduce, read;
    std::vector<unsigned char> data; // once it is read
};
struct Lane {
    std::vector<AsyncCopy> copies;
    std::vector<BulkStore> stores;
    uint32_t copy_group, store_group;
};

// What of each other warp comes before now: all it did until a tick has ended, and what some of its lanes did in the next one.
struct Seen {
    uint32_t tick[MAX_WARPS], lanes[MAX_WARPS];
    bool has(unsigned thread, uint32_t tick_) const {
        const unsigned warp = thread / LANES;
        return tick_ <= tick[warp] || (tick_ == tick[warp] + 1 && (lanes[warp] >> thread % LANES & 1) != 0);
    }
    void add(unsigned warp, uint32_t tick_, uint32_t lanes_) {
        if (tick_ > tick[warp])
            tick[warp] = tick_, lanes[warp] = lanes_;
        else if (tick_ == tick[warp])
            lanes[warp] |= lanes_;
    }
    void add(const Seen& other) {
        for (unsigned w = 0; w < MAX_WARPS; w++) add(w, other.tick[w], other.lanes[w]);
    }
    void clear() { std::memset(this, 0, sizeof *this); }
};
struct Mark { // who touched two bytes of memory last; stamps as ptx_races.cpp makes them
    uint32_t write, read1, read2;
};
enum Access { READ, WRITE, ATOMIC };

struct Warp {
    uint32_t* rows; // registers: LANES words each, or twice that
    const uint32_t* constants;
    uint32_t* predicates; // by lane
    unsigned number;
    uint32_t exited;
    Group groups[LANES];
    unsigned group_count;
    const Instruction* at; // that it runs, or ran last
    uint32_t polled;       // lanes that let others go first
    Lane lane[LANES];
    std::vector<Product> products;
    unsigned product_group;             // of wgmma that is open
    bool fenced;                        // there was a wgmma.fence
    std::vector<uint8_t> busy, touched; // registers that products use: products under way; since the last wgmma.fence
    std::vector<uint32_t> row_storage, predicate_storage;
    size_t issued; // wgmma so far
    uint32_t tick; // what orders its lanes begins one
    Seen seen;
};

struct BulkCopy { // to shared memory; the map of a tensor copy, or bytes from one address
    const Instruction* instruction;
    uint32_t shared, bytes;
    bool tensor;
    unsigned thread; // that issued it,
    uint32_t tick;   // and its warp's tick
    uint64_t global;
    unsigned char map[128];
    int coordinates[3];
};
struct MBarrier {
    uint32_t address, arrivals, missing;
    int64_t bytes; // expected and not yet brought
    uint64_t phase;
    bool fenced; // its initialization is known to the async proxy
    unsigned thread;
    Seen seen; // by those that have arrived
    std::vector<BulkCopy> copies;
};
struct Barrier { // bar.sync of a number
    unsigned arrived = 0, expected = 0;
    Seen seen;
};
struct Issue { // of a wgmma, which the four warps of a group do alike
    uint32_t pc;
    uint64_t a, b;
};

// A byte of shared memory.
enum ByteState : uint8_t { UNWRITTEN = 0, WRITTEN = 1, IN_FLIGHT = 2, MBARRIER = 3, BEING_READ = 4, NOBODYS = 5 }; // 5: between variables

// What a launch did, as a GPU's profiler counts it. A shared access of a warp goes in passes: each gives a bank of 4 bytes one word to
// give or take; 8 and 16 bytes a lane go in halves and quarters of a warp. Conflicts are passes beyond those.
struct Counts {
    uint64_t warp_instructions, lane_instructions, global_accesses, global_bytes, global_sectors, shared_accesses, shared_passes,
        shared_conflicts, tensor_operations;
};
struct Machine {
    bool counting = false;
    Counts counts{};
    const Launch* launch = nullptr;
    const Kernel* kernel = nullptr;
    dim3 block{};
    unsigned threads = 0, warp_count = 0;
    std::vector<Warp> warps;
    uint32_t dynamic_begin = 0, shared_end = 0;
    std::vector<uint8_t> states;   // of shared memory, by byte
    std::vector<uint32_t> writers; // by two bytes: thread and its count of proxy fences at an ordinary store; 0: none, or fenced
    std::vector<Mark> marks;       // by two bytes
    bool races = true;
    uint32_t proxy_fences[MAX_THREADS];
    std::vector<MBarrier> mbarriers;
    Barrier barriers[16];
    std::vector<Issue> issues[MAX_WARPS / 4];
    std::vector<BulkStore> unfinished; // read, and written when the launch ends
    size_t products = 0;               // of all warps
    uint64_t events = 0;               // that others may wait for
    std::mt19937_64 random;
};
extern Machine machine;

// ---- ptx_run.cpp
[[noreturn]] void report(const Warp& w, unsigned lane, int code, const std::string& what);
[[noreturn]] void report(const Warp& w, const Instruction& i, unsigned lane, int code, const std::string& what);
std::string shared_place(uint32_t address); // "byte 4 of the dynamic part"

// ---- ptx_memory.cpp
inline bool in_shared_space(uint64_t address) { return address - reinterpret_cast<uint64_t>(shared_space()) < SHARED_END; }
// Host address of bytes in global memory, checked.
unsigned char* global_at(const Warp& w, unsigned lane, uint64_t address, uint64_t bytes, int kind);
unsigned char* accessed(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind); // as global_at, by a lane now
unsigned char* updated_shared(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes);        // by an atomic, checked
unsigned char* shared_at(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, int kind); // bounds only
void begin_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes);                   // by an ordinary store or cp.async
void end_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes);
void check_proxy(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, const char* what); // that the async proxy sees these
void land(Lane& lane, const Warp& w, unsigned number, unsigned pending);

// ---- ptx_races.cpp: checks, and what orders accesses
void check_read(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes);
void check_warp_read(const Warp& w, uint32_t address, uint32_t bytes);
void check_write(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes, Access kind);
void check_global(const Warp& w, unsigned lane, uint64_t address, uint32_t bytes, Access kind);
void forget_global_accesses(); // of the block before
void publish(Seen& to, const Warp& w, unsigned lane); // what it has done, and before a bar.warp.sync its warp
void next_tick(Warp& w);

// ---- ptx_async.cpp
void end_lanes(Warp& w, uint32_t lanes); // reports what they leave under way
void end_block();
void end_launch();
void touch(Warp& w, const Instruction& i);
void check_products(const Warp& w, unsigned lane, uint32_t address, uint32_t bytes); // that none under way reads what is written

// ---- handlers
template <typename T>
struct StoredAs {
    using type = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;
};
template <typename T>
using Stored = typename StoredAs<T>::type;
template <typename T>
inline const Stored<T>* in(const Warp& w, int32_t at) {
    return reinterpret_cast<const Stored<T>*>(at >= 0 ? w.rows + at : w.constants + ~at);
}
template <typename T>
inline Stored<T>* out(const Warp& w, int32_t at) {
    return reinterpret_cast<Stored<T>*>(w.rows + at);
}
template <typename T>
inline Stored<T> stored(T x) {
    if constexpr (sizeof(T) < 4)
        return uint32_t(std::make_unsigned_t<T>(x));
    else
        return x;
}
template <typename F>
__attribute__((always_inline)) inline void each(uint32_t lanes, F f) {
    if (lanes == ALL) {
#pragma GCC ivdep
        for (unsigned l = 0; l < LANES; l++) f(l);
    } else
        for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) f(unsigned(__builtin_ctz(rest)));
}
inline float bf16_value(uint16_t half) {
    const uint32_t b = uint32_t(half) << 16;
    float x;
    std::memcpy(&x, &b, 4);
    return x;
}
inline void set_predicate(Warp& w, int32_t at, uint32_t lanes, uint32_t values) {
    uint32_t& p = w.predicates[at];
    p = (p & ~lanes) | (values & lanes);
}
inline unsigned first(uint32_t lanes) { return unsigned(__builtin_ctz(lanes)); }

} // namespace sim::ptx
