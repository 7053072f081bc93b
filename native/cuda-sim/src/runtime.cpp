// runtime.cpp: what is behind the driver's functions: streams and their workers, captures, sticky errors, the call log, faults;
// and the sim_ctl_* functions by which tests steer all of it.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "driver.hpp"
#include "sim.hpp"

namespace sim {

// Never destroyed: workers still wait when the process exits.
Settings& settings = *new Settings;
Counters counters;
std::mutex &mutex = *new std::mutex, &device_mutex = *new std::mutex;
std::condition_variable& changed = *new std::condition_variable;
Table<Stream>& streams = *new Table<Stream>(0x51);
thread_local Thread self;
uint64_t generation = 1;
Driver& driver = *new Driver;

int64_t* setting(const std::string& key) {
    static const std::map<std::string, int64_t Settings::*> keys = {
        {"order", &Settings::order},
        {"order.seed", &Settings::order_seed},
        {"delay", &Settings::delay},
        {"delay.micros", &Settings::delay_micros},
        {"delay.seed", &Settings::delay_seed},
        {"check.bounds", &Settings::check_bounds},
        {"check.races", &Settings::check_races},
        {"check.global.races", &Settings::check_global_races},
        {"count.launches", &Settings::count_launches},
        {"device.count", &Settings::devices},
        {"device.major", &Settings::major},
        {"device.minor", &Settings::minor},
        {"device.bytes", &Settings::total_bytes},
        {"device.limit", &Settings::limit_bytes},
        {"device.multiprocessors", &Settings::multiprocessors},
        {"device.shared.optin", &Settings::shared_optin},
        {"device.l2.bytes", &Settings::l2_bytes},
        {"driver.version", &Settings::driver_version},
        {"cublaslt.version", &Settings::cublaslt_version},
        {"cublaslt.workspace", &Settings::cublaslt_workspace},
    };
    auto i = keys.find(key);
    return i == keys.end() ? nullptr : &(settings.*(i->second));
}

namespace {

struct CallFault {
    std::string function;
    int64_t countdown;
    int code;
};
struct KernelFault {
    std::string kernel; // empty: any
    int64_t countdown;
    int code;
};
std::vector<CallFault> call_faults;
std::vector<KernelFault> kernel_faults; // guarded by fault_mutex: kernels take them while they run
std::mutex fault_mutex, text_mutex;
std::string last_error;
int lost = 0;                 // the code that every call answers once the device is lost
int64_t stalled_until = 0;    // ns of the steady clock; INT64_MAX: for ever
Failure sticky;
bool logging = false;
std::vector<std::string> log_lines;
std::map<std::thread::id, int> log_threads;
std::mt19937_64 delays;
std::vector<Site*>& sites() {
    static std::vector<Site*> all;
    return all;
}
std::mutex sites_mutex;

int64_t now_nanos() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

std::string without_version(std::string name) {
    const size_t at = name.rfind("_v");
    if (at != std::string::npos && at + 3 == name.size() && isdigit(name[at + 2]) != 0) name.resize(at);
    return name;
}

int64_t calls_of(const std::string& function) {
    std::lock_guard<std::mutex> guard(sites_mutex);
    int64_t calls = 0;
    for (const Site* s : sites())
        if (s->name == function) calls += s->calls;
    return calls;
}

// ---- workers -----------------------------------------------------------------------------------------------------------------

void delay(Lock& lock, Stream& stream) {
    while (!stream.stopping && stalled_until > now_nanos()) {
        if (stalled_until == INT64_MAX) changed.wait(lock);
        else changed.wait_for(lock, std::chrono::nanoseconds(stalled_until - now_nanos()));
    }
    int64_t micros = 0;
    if (settings.delay == FIXED_DELAY) micros = settings.delay_micros;
    else if (settings.delay == JITTER && settings.delay_micros > 0) micros = int64_t(delays() % uint64_t(settings.delay_micros + 1));
    if (micros > 0) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(micros);
        while (!stream.stopping && changed.wait_until(lock, until) != std::cv_status::timeout) {
        }
    }
}

void fail_with(const Failure& f) {
    if (f.code == OK || sticky.code != OK) return;
    sticky = f;
    note_error(f.text);
}

void perform(Lock& lock, Stream& stream, const Work& work) {
    if (work.wait) {
        changed.wait(lock, [&] { return work.wait->done || stream.stopping || lost != 0; });
    } else if (work.run && sticky.code == OK && lost == 0) {
        lock.unlock();
        Failure failure;
        {
            std::lock_guard<std::mutex> running(device_mutex);
            failure = work.run();
        }
        lock.lock();
        fail_with(failure);
    }
    for (const auto& node : work.nodes)
        if (!stream.stopping) perform(lock, stream, *node);
    if (work.record) {
        work.record->time = std::chrono::steady_clock::now();
        work.record->done = true;
    }
}

void serve(Stream* stream) {
    Lock lock(mutex);
    while (true) {
        changed.wait(lock, [&] { return stream->stopping || stream->closing || !stream->queue.empty(); });
        if (stream->stopping || stream->queue.empty()) return;
        auto work = stream->queue.front();
        if (work->run || !work->nodes.empty()) delay(lock, *stream);
        if (stream->stopping) return;
        stream->queue.pop_front();
        perform(lock, *stream, *work);
        stream->done++;
        changed.notify_all();
    }
}

} // namespace

void Stream::start() {
    // Signals are the host program's business: on a fiber's small stack they would be no one's.
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker = std::thread(serve, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::shared_ptr<Stream> stream_of(const void* handle) {
    if (reinterpret_cast<uint64_t>(handle) <= 2) { // 0, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD: one default stream a device
        const int device = std::max(current_device(), 0);
        auto& stream = driver.default_streams[device];
        if (!stream) {
            stream = std::make_shared<Stream>();
            stream->device = device;
            stream->flags = 0;
            stream->number = 0;
            stream->start();
        }
        return stream;
    }
    return streams.find(handle);
}

// ---- calls -----------------------------------------------------------------------------------------------------------------------

Site::Site(const char* function) : name(without_version(function)) {
    std::lock_guard<std::mutex> guard(sites_mutex);
    sites().push_back(this);
}

void note_error(const std::string& text) {
    std::lock_guard<std::mutex> guard(text_mutex);
    last_error = text;
}

int sticky_code() { return lost != 0 ? lost : sticky.code; }
void set_sticky(const Failure& failure) { fail_with(failure); }

bool take_kernel_fault(const std::string& kernel, Failure* failure) {
    std::lock_guard<std::mutex> guard(fault_mutex);
    for (size_t i = 0; i < kernel_faults.size(); i++) {
        KernelFault& f = kernel_faults[i];
        if ((!f.kernel.empty() && f.kernel != kernel) || --f.countdown > 0) continue;
        *failure = Failure{f.code, "kernel " + kernel + " failed by an injected fault"};
        kernel_faults.erase(kernel_faults.begin() + long(i));
        return true;
    }
    return false;
}

int current_device() {
    if (self.context == nullptr || self.generation != generation) return -1;
    auto context = driver.contexts.find(self.context);
    return context ? context->device : -1;
}

int enter(Site& site, Lock& lock, Need need, void (*print)(const void* of, std::ostream& out), const void* of) {
    lock = Lock(mutex);
    site.calls++;
    if (logging) {
        std::ostringstream line;
        const int thread = log_threads.emplace(std::this_thread::get_id(), int(log_threads.size()) + 1).first->second;
        line << "t" << thread << " " << site.name;
        print(of, line);
        log_lines.push_back(line.str());
    }
    for (size_t i = 0; i < call_faults.size(); i++) {
        if (call_faults[i].function != site.name || --call_faults[i].countdown > 0) continue;
        const int code = call_faults[i].code;
        call_faults.erase(call_faults.begin() + long(i));
        note_error(site.name + " failed by an injected fault");
        return code;
    }
    if (lost != 0) return lost;
    if (need == NOTHING) return OK;
    if (!driver.initialized) return NOT_INITIALIZED;
    if (need == INITIALIZED) return OK;
    if (current_device() < 0) return INVALID_CONTEXT;
    return sticky.code;
}

// ---- work -----------------------------------------------------------------------------------------------------------------------

namespace {
void push(Stream& stream, std::shared_ptr<Work> work) {
    stream.queue.push_back(std::move(work));
    stream.queued++;
}
// What is queued on `before` now comes before what will be queued on `after`.
void chain(Stream& before, Stream& after) {
    if (&before == &after || before.queued == before.done) return;
    auto record = std::make_shared<Work>();
    record->record = std::make_shared<EventRecord>();
    auto wait = std::make_shared<Work>();
    wait->wait = record->record;
    push(before, record);
    push(after, wait);
}
} // namespace

int submit(const std::shared_ptr<Stream>& stream, std::shared_ptr<Work> work) {
    if (stream->capture) {
        Capture& c = *stream->capture;
        if (c.invalid) return CAPTURE_INVALIDATED;
        c.graph->nodes.push_back(std::move(work));
        c.last[stream.get()] = c.graph->nodes.size();
        return OK;
    }
    const bool legacy = stream->number == 0;
    if (legacy) {
        for (auto& [handle, other] : streams.live)
            if (other->capture && (other->flags & 1) == 0) return other->capture->invalid = true, CAPTURE_IMPLICIT;
        if (thread_captures()) return invalidate_captures(), CAPTURE_IMPLICIT;
        for (auto& [handle, other] : streams.live)
            if ((other->flags & 1) == 0 && other->device == stream->device) chain(*other, *stream);
    } else if ((stream->flags & 1) == 0 && driver.default_streams[stream->device]) {
        chain(*driver.default_streams[stream->device], *stream);
    }
    push(*stream, std::move(work));
    changed.notify_all();
    return OK;
}

int wait_for(Lock& lock, Stream& stream) {
    const uint64_t target = stream.queued, born = generation;
    changed.wait(lock, [&] { return stream.done >= target || stream.stopping || lost != 0 || generation != born; });
    return sticky_code();
}

int wait_for_all(Lock& lock) {
    std::vector<std::shared_ptr<Stream>> all;
    for (auto& [handle, stream] : streams.live) all.push_back(stream);
    for (auto& [device, stream] : driver.default_streams)
        if (stream) all.push_back(stream);
    for (auto& stream : all)
        if (!stream->capture) wait_for(lock, *stream);
    return sticky_code();
}

namespace {
std::vector<std::shared_ptr<Capture>> captures_of_this_thread() {
    std::vector<std::shared_ptr<Capture>> mine;
    for (auto& [handle, stream] : streams.live)
        if (stream->capture && stream->capture->mode != 2 && stream->capture->thread == std::this_thread::get_id())
            mine.push_back(stream->capture);
    return mine;
}
} // namespace
bool thread_captures() { return !captures_of_this_thread().empty(); }
void invalidate_captures() {
    for (auto& c : captures_of_this_thread()) c->invalid = true;
}

void stop_stream(Lock& lock, const std::shared_ptr<Stream>& stream) {
    stream->stopping = true;
    changed.notify_all();
    lock.unlock();
    if (stream->worker.joinable()) stream->worker.join();
    lock.lock();
}

} // namespace sim

using namespace sim;

// ---- control: tests only. Text arguments are zero-terminated; functions that copy text answer the length without the zero. ------

static int64_t copy_text(const std::string& text, char* out, int64_t capacity) {
    if (capacity > 0) {
        const size_t n = std::min(text.size(), size_t(capacity - 1));
        std::memcpy(out, text.data(), n);
        out[n] = 0;
    }
    return int64_t(text.size());
}

// A new machine: no work, no memory, no handles, no faults, default settings, empty log. Waits until running kernels have ended.
EXPORT void sim_ctl_reset() {
    Lock lock(mutex);
    abandon = true;
    lost = 0;
    stalled_until = 0;
    generation++;
    changed.notify_all();
    std::vector<std::shared_ptr<Stream>> all = driver.destroyed;
    for (auto& [handle, stream] : streams.live) all.push_back(stream);
    for (auto& [device, stream] : driver.default_streams)
        if (stream) all.push_back(stream);
    for (auto& stream : all) {
        stop_stream(lock, stream);
        stream->queue.clear();
    }
    streams.clear();
    driver.clear();
    release_all();
    settings = Settings{};
    sticky = Failure{};
    call_faults.clear();
    {
        std::lock_guard<std::mutex> guard(fault_mutex);
        kernel_faults.clear();
    }
    ptx::forget_counts();
    logging = false;
    log_lines.clear();
    log_threads.clear();
    delays.seed(1);
    for (auto* c : {&counters.h2d_bytes, &counters.d2h_bytes, &counters.d2d_bytes, &counters.memset_bytes,
                    &counters.kernel_host_read_bytes, &counters.kernel_host_written_bytes, &counters.kernels, &counters.matmuls,
                    &counters.graph_launches})
        *c = 0;
    {
        std::lock_guard<std::mutex> guard(sites_mutex);
        for (Site* s : sites()) s->calls = 0;
    }
    note_error("");
    abandon = false;
}

// A driver's exit handler may wait for its device, and so this one does for a device that hangs.
__attribute__((destructor)) static void wait_at_exit() {
    while (stalled_until == INT64_MAX) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

// 0, or -1: no such key. Keys are those of setting() above.
EXPORT int sim_ctl_set(const char* key, int64_t value) {
    Lock lock(mutex);
    int64_t* s = setting(key);
    if (s == nullptr) return -1;
    *s = value;
    if (std::strcmp(key, "delay.seed") == 0) delays.seed(uint64_t(value));
    return 0;
}
EXPORT int64_t sim_ctl_get(const char* key) {
    Lock lock(mutex);
    const int64_t* s = setting(key);
    return s == nullptr ? -1 : *s;
}
EXPORT void sim_ctl_set_name(const char* name) {
    Lock lock(mutex);
    settings.name = name;
}

EXPORT void sim_ctl_log_start() {
    Lock lock(mutex);
    log_lines.clear();
    log_threads.clear();
    logging = true;
}
EXPORT void sim_ctl_log_stop() {
    Lock lock(mutex);
    logging = false;
}
// All lines since the start, each ended by \n.
EXPORT int64_t sim_ctl_log_copy(char* out, int64_t capacity) {
    Lock lock(mutex);
    std::string all;
    for (const std::string& line : log_lines) all += line + "\n";
    return copy_text(all, out, capacity);
}

// What each launch of PTX did since the reset, while the setting count.launches was on.
EXPORT int64_t sim_ctl_launch_counts(char* out, int64_t capacity) { return copy_text(ptx::counts_text(), out, capacity); }

// Calls of a function since the reset, without its version suffix; or one of the byte and work counters; -1: no such counter.
EXPORT int64_t sim_ctl_counter(const char* name) {
    const std::map<std::string, std::atomic<int64_t>*> named = {
        {"h2d.bytes", &counters.h2d_bytes},
        {"d2h.bytes", &counters.d2h_bytes},
        {"d2d.bytes", &counters.d2d_bytes},
        {"memset.bytes", &counters.memset_bytes},
        {"kernel.host.read.bytes", &counters.kernel_host_read_bytes},
        {"kernel.host.written.bytes", &counters.kernel_host_written_bytes},
        {"kernels", &counters.kernels},
        {"matmuls", &counters.matmuls},
        {"graph.launches", &counters.graph_launches},
    };
    auto i = named.find(name);
    if (i != named.end()) return *i->second;
    if (std::strcmp(name, "calls") == 0) {
        std::lock_guard<std::mutex> guard(sites_mutex);
        int64_t all = 0;
        for (const Site* s : sites()) all += s->calls;
        return all;
    }
    if (std::strcmp(name, "device.used.bytes") == 0 || std::strcmp(name, "allocations") == 0) {
        Lock lock(mutex);
        return std::strcmp(name, "allocations") == 0 ? live_allocations() : used_bytes(0);
    }
    if (std::strncmp(name, "cu", 2) == 0) return calls_of(without_version(name));
    return -1;
}

// The n-th call of the function from now (1: the next) answers the code and does nothing.
EXPORT void sim_ctl_fault_call(const char* function, int64_t n, int code) {
    Lock lock(mutex);
    call_faults.push_back({without_version(function), n, code});
}
// The n-th kernel from now (of that name, unless it is empty) fails with the code, stickily, when the device comes to it.
EXPORT void sim_ctl_fault_kernel(const char* kernel, int64_t n, int code) {
    std::lock_guard<std::mutex> guard(fault_mutex);
    kernel_faults.push_back({kernel, n, code});
}
// From now on every call answers the code and no work is done.
EXPORT void sim_ctl_lose_device(int code) {
    Lock lock(mutex);
    lost = code;
    note_error("the device is lost by an injected fault");
    changed.notify_all();
}
// No stream begins anything for so long; less than 0: until sim_ctl_stall(0) or a reset.
EXPORT void sim_ctl_stall(int64_t millis) {
    Lock lock(mutex);
    stalled_until = millis < 0 ? INT64_MAX : now_nanos() + millis * 1000000;
    changed.notify_all();
}
EXPORT int64_t sim_ctl_last_error(char* out, int64_t capacity) {
    std::lock_guard<std::mutex> guard(text_mutex);
    return copy_text(last_error, out, capacity);
}
