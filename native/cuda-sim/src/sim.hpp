// sim.hpp: what the parts of the simulator share. One mutex guards all state of the driver; one thread at a time runs device work.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cuda_sim_abi.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace sim {

// CUresult, the values of cuda.h that the simulator answers.
enum Result : int {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_PTX = 218,
    ILLEGAL_STATE = 401,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    ASSERT = 710,
    HOST_MEMORY_ALREADY_REGISTERED = 712,
    HOST_MEMORY_NOT_REGISTERED = 713,
    MISALIGNED_ADDRESS = 716,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_UNJOINED = 904,
    CAPTURE_ISOLATION = 905,
    CAPTURE_IMPLICIT = 906,
    CAPTURE_WRONG_THREAD = 908,
    GRAPH_EXEC_UPDATE_FAILURE = 910,
};

// What went wrong on the device, for people; code OK: nothing.
struct Failure {
    int code = OK;
    std::string text;
};

// ---- settings: sim_ctl_set changes them by name, sim_ctl_reset restores them -------------------------------------------------
enum Order { FORWARD = 0, REVERSE = 1, RANDOM = 2 };
enum Delay { NO_DELAY = 0, FIXED_DELAY = 1, JITTER = 2 };
struct Settings {
    int64_t order = FORWARD, order_seed = 1;
    int64_t delay = NO_DELAY, delay_micros = 200, delay_seed = 1;
    int64_t check_bounds = 1, check_races = 1, check_global_races = 1, count_launches = 0;
    int64_t devices = 1, major = 9, minor = 0, total_bytes = int64_t(2) << 30, limit_bytes = INT64_MAX;
    int64_t driver_version = 13000, multiprocessors = 132, shared_optin = 232448, l2_bytes = 50 << 20;
    int64_t cublaslt_version = 130000, cublaslt_workspace = 0;
    std::string name = "Rheostat CUDA simulator";
};
extern Settings& settings;
int64_t* setting(const std::string& key); // null: no such key

// What is counted since the last reset.
struct Counters {
    std::atomic<int64_t> h2d_bytes{0}, d2h_bytes{0}, d2d_bytes{0}, memset_bytes{0};
    std::atomic<int64_t> kernel_host_read_bytes{0}, kernel_host_written_bytes{0};
    std::atomic<int64_t> kernels{0}, matmuls{0}, graph_launches{0};
};
extern Counters counters;

// ---- memory: one reserved range of addresses, in granules; an address is never used twice ---------------------------------
constexpr uint64_t GRANULE = 1 << 16, RANGE = uint64_t(1) << 40;
struct Allocation {
    uint64_t begin, bytes;
    uint32_t number; // since the last reset, from 1
    int device;
    bool live, pinned;
    uint64_t* shadow; // who touched it in a launch, as exec.cpp keeps it; null until then
};
extern uint64_t range_begin;
extern uint32_t* granules;       // index of the granule's allocation; 0: never used
extern Allocation* allocations;  // [0] is none
inline Allocation* allocation_at(uint64_t address) {
    const uint64_t offset = address - range_begin;
    if (offset >= RANGE) return nullptr;
    const uint32_t i = granules[offset / GRANULE];
    return i == 0 ? nullptr : &allocations[i];
}
Allocation* allocate(uint64_t bytes, bool pinned, int device); // poisoned; null: no addresses or no host memory
void release(Allocation* a);                                   // its pages answer no one any more
void release_all();
int64_t used_bytes(int device);
int64_t live_allocations(); // of all kinds
std::string describe(uint64_t address); // "#3+16 (allocation of 64 bytes)", "64 bytes past the end of ...", for reports
std::string place(uint64_t address);    // "#3+16", the same in every run; for the log
// Whether [address, address + bytes) lies in one live allocation; if not, why, into `problem`.
bool device_range(uint64_t address, uint64_t bytes, std::string* problem);
struct HostRange {
    uint64_t begin, bytes;
};
extern std::vector<HostRange> registered; // cuMemHostRegister

// ---- modules and kernels -----------------------------------------------------------------------------------------------------
struct Cell { // who touched a word (or byte) of shared memory last; stamps as exec.cpp makes them
    uint64_t write, read1, read2, split;
};
namespace ptx {
struct Image;
}
struct Module { // a shared object of kernels that g++ compiled, or PTX
    ~Module();
    std::shared_ptr<const ptx::Image> ptx; // the rest is the shared object's
    void* library = nullptr;
    int file = -1;
    uint64_t load = 0;                                  // address that the ELF's 0 has here
    std::vector<std::pair<uint64_t, uint64_t>> constant; // [begin, end) of what kernels may read
    uint64_t shared_begin = 0, shared_end = 0;          // .bss: the static shared memory of all its kernels
    std::vector<Cell> words, bytes;                     // shadow of it
    struct Symbol {
        uint64_t begin, bytes;
        std::string name;
    };
    std::vector<Symbol> statics; // the shared variables, by address
    // The last variable that begins at or below the address, if the address is in the static part; else null.
    const Symbol* shared_variable_below(uint64_t address) const;
};
struct Parameter { // of a kernel, in Launch::parameters
    unsigned offset, bytes;
};
struct Function {
    std::shared_ptr<Module> module;
    std::string name;
    const sim_kernel_info* info = nullptr; // of a shared object
    std::vector<Parameter> parameters;
    unsigned max_threads = 1024;
    unsigned static_shared = 0;
    int max_dynamic_shared = 49152;
    int carveout = -1;
    bool loaded = false; // by a question or a launch: drivers put off what nobody has used
};
struct Launch {
    std::shared_ptr<Function> function;
    dim3 grid, block;
    unsigned shared_bytes;
    std::vector<unsigned char> parameters; // where the function's parameters say
};
Failure load_module(const void* image, std::shared_ptr<Module>* module);
Failure find_function(const std::shared_ptr<Module>& module, const char* name, std::shared_ptr<Function>* function);
void forget_shadows(); // of all allocations, which are gone
Failure run_launch(const Launch& launch); // on the calling thread, which holds device_mutex
namespace ptx {
Failure load(const char* text, std::shared_ptr<const Image>* image);
std::shared_ptr<Function> find(const std::shared_ptr<Module>& module, const char* name); // null: no such kernel
Failure run(const Launch& launch);
int capability(const Image& image); // that the PTX is for, 10 major + minor
std::string counts_text(); // of the launches since the last reset that were counted, a line each
void forget_counts();
} // namespace ptx
extern std::atomic<bool> abandon;         // a kernel that sees it ends at its next wait

// ---- streams, events, graphs ---------------------------------------------------------------------------------------------------
struct EventRecord {
    bool done = false;
    std::chrono::steady_clock::time_point time;
};
enum NodeType { KERNEL_NODE = 0, MEMCPY_NODE = 1, MEMSET_NODE = 2, HOST_NODE = 3, GRAPH_NODE = 4, EMPTY_NODE = 5 };
struct Work { // what a stream does next; a graph's node
    NodeType type = EMPTY_NODE;
    std::function<Failure()> run;
    std::shared_ptr<EventRecord> wait, record;
    std::vector<std::shared_ptr<Work>> nodes; // of a graph launch
    void* handle = nullptr;                   // as a node of a graph, once it was asked for
};
struct Graph {
    std::vector<std::shared_ptr<Work>> nodes;
};
struct Stream;
struct Capture {
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    Stream* origin;
    std::thread::id thread;
    int mode;
    bool invalid = false;
    std::map<Stream*, size_t> last, joined; // nodes of each stream: how many there were at its last, and at its last join
};
struct Event {
    unsigned flags;
    std::shared_ptr<EventRecord> last;
    std::shared_ptr<Capture> capture; // recorded inside of it...
    Stream* stream = nullptr;         // ... on this stream ...
    size_t nodes = 0;                 // ... after so many nodes
};
struct Stream {
    int device;
    unsigned flags;
    uint64_t number;
    std::deque<std::shared_ptr<Work>> queue;
    uint64_t queued = 0, done = 0;
    bool stopping = false, closing = false; // closing: after what is queued
    std::shared_ptr<Capture> capture;
    std::thread worker;
    void start();
};
extern std::mutex& mutex;                // guards all below, and what is above except the memory of running kernels
extern std::condition_variable& changed; // any of it
extern std::mutex& device_mutex;         // held while device work runs

// Live objects of a kind by handle. Handles are never given twice.
template <typename T>
struct Table {
    explicit Table(uint64_t tag) : tag(tag) {}
    const uint64_t tag;
    uint64_t next = 0, base = 0; // base: next at the last reset
    std::unordered_map<uint64_t, std::shared_ptr<T>> live;
    void* add(std::shared_ptr<T> object) {
        const uint64_t handle = tag << 40 | ++next << 4;
        live.emplace(handle, std::move(object));
        return reinterpret_cast<void*>(handle);
    }
    std::shared_ptr<T> find(const void* handle) const {
        auto i = live.find(reinterpret_cast<uint64_t>(handle));
        return i == live.end() ? nullptr : i->second;
    }
    bool remove(const void* handle) { return live.erase(reinterpret_cast<uint64_t>(handle)) > 0; }
    uint64_t number(const void* handle) const {
        const uint64_t n = (reinterpret_cast<uint64_t>(handle) & ((uint64_t(1) << 40) - 1)) >> 4;
        return n - base;
    }
    void clear() {
        live.clear();
        base = next;
    }
};
extern Table<Stream>& streams;
std::shared_ptr<Stream> stream_of(const void* handle); // null handle: the legacy default stream; null answer: no such stream

// ---- calls: what every exported function begins with ------------------------------------------------------------------------------
struct Site { // one exported function
    explicit Site(const char* function);
    std::string name; // without a version suffix: cuMemAlloc for cuMemAlloc_v2
    std::atomic<int64_t> calls{0};
};
enum Need { NOTHING, INITIALIZED, CONTEXT };
using Lock = std::unique_lock<std::mutex>;
// Takes the mutex, counts and logs the call (print writes its arguments), injects faults, and answers OK or why the call is refused.
int enter(Site& site, Lock& lock, Need need, void (*print)(const void* of, std::ostream& out), const void* of);
template <typename F>
int enter(Site& site, Lock& lock, Need need, const F& arguments) {
    return enter(site, lock, need, [](const void* f, std::ostream& out) { (*static_cast<const F*>(f))(out); }, &arguments);
}
#define ENTER(function, need, arguments)                                                                     \
    static sim::Site site_(#function);                                                                       \
    sim::Lock lock;                                                                                          \
    if (int refused_ = sim::enter(site_, lock, sim::need, [&](std::ostream& out) { out << "" arguments; })) return refused_

struct Thread { // of the host
    void* context = nullptr;
    uint64_t generation = 0;
    std::vector<void*> below; // of cuCtxPushCurrent
    int capture_mode = 0;
};
extern thread_local Thread self;
extern uint64_t generation; // of resets
int current_device();       // of the calling thread's context; -1: none
bool thread_captures();     // the calling thread began a capture that is not relaxed
void invalidate_captures(); // those of this thread

// Puts work on a stream, or into the graph that it captures. Code of the refusal, or OK.
int submit(const std::shared_ptr<Stream>& stream, std::shared_ptr<Work> work);
int wait_for(Lock& lock, Stream& stream); // until what is queued now is done; the sticky error or OK
int wait_for_all(Lock& lock);
void set_sticky(const Failure& failure);
int sticky_code();
bool take_kernel_fault(const std::string& kernel, Failure* failure);
void note_error(const std::string& text);

} // namespace sim
