// driver.cpp: the functions of cuda.h that Rheostat and JCuda's driver binding call, as the driver exports them. What each does
// and refuses follows the CUDA driver API reference; README.md says what is left out.
#include "driver.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "errors.hpp"

using namespace sim;
using Handle = void*;
using Address = uint64_t;

namespace {
int problem(int code, const std::string& text) {
    note_error(text);
    return code;
}
bool pinned(const void* p) {
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a != nullptr) return a->live && a->pinned;
    for (const HostRange& r : registered)
        if (address - r.begin < r.bytes) return true;
    return false;
}
std::string host_place(const void* p) { return pinned(p) ? place(reinterpret_cast<uint64_t>(p)) : "host"; }
// Host memory must be the program's own or live pinned memory, not a device's.
bool host_range(const void* p, uint64_t bytes, std::string* why) {
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    if (range_begin == 0 || address - range_begin >= RANGE) return p != nullptr || bytes == 0;
    const Allocation* a = allocation_at(address);
    if (a != nullptr && !a->pinned) {
        *why = "the host side of the copy is device memory: " + describe(address);
        return false;
    }
    return device_range(address, bytes, why);
}
std::string stream_name(const void* handle) {
    if (reinterpret_cast<uint64_t>(handle) <= 2) return "0";
    auto s = streams.find(handle);
    return s ? std::to_string(s->number) : "?";
}
uint64_t at(const void* p) { return reinterpret_cast<uint64_t>(p); }
bool valid_device(int device) { return device >= 0 && device < settings.devices; }

template <typename F>
std::shared_ptr<Work> work(NodeType type, F run) {
    auto w = std::make_shared<Work>();
    w->type = type;
    w->run = std::move(run);
    return w;
}

enum Direction { TO_DEVICE, TO_HOST, ON_DEVICE };

// A copy as a stream's work. Device ends are looked at again when it runs: memory may have been freed since it was captured.
std::shared_ptr<Work> copy_work(Direction direction, void* to, const void* from, uint64_t bytes, std::shared_ptr<std::vector<char>> staged) {
    return work(MEMCPY_NODE, [=]() -> Failure {
        std::string why;
        if ((direction != TO_HOST || pinned(to)) && !device_range(at(to), bytes, &why)) return Failure{ILLEGAL_ADDRESS, "copy to " + why};
        if (!staged && (direction != TO_DEVICE || pinned(from)) && !device_range(at(from), bytes, &why))
            return Failure{ILLEGAL_ADDRESS, "copy from " + why};
        std::memmove(to, staged ? staged->data() : from, bytes);
        (direction == TO_DEVICE ? counters.h2d_bytes : direction == TO_HOST ? counters.d2h_bytes : counters.d2d_bytes) += int64_t(bytes);
        return Failure{};
    });
}

// async: cuMemcpy...Async. Pageable host memory is staged on the way to the device (the caller may change it at once), and the
// call waits for a copy into it, as the reference's "API synchronization behavior" says.
int copy(Lock& lock, Direction direction, void* to, const void* from, uint64_t bytes, const void* handle, bool async) {
    auto stream = stream_of(handle);
    if (!stream) return INVALID_HANDLE;
    std::string why;
    const bool to_host = direction == TO_HOST, from_host = direction == TO_DEVICE;
    if (!(to_host ? host_range(to, bytes, &why) : device_range(at(to), bytes, &why))) return problem(INVALID_VALUE, "copy to " + why);
    if (!(from_host ? host_range(from, bytes, &why) : device_range(at(from), bytes, &why)))
        return problem(INVALID_VALUE, "copy from " + why);
    if (bytes == 0) return OK;
    std::shared_ptr<std::vector<char>> staged;
    if (from_host && !pinned(from) && !stream->capture)
        staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    if (int refused = submit(stream, copy_work(direction, to, from, bytes, staged))) return refused;
    if (stream->capture) return OK;
    if (!async || (to_host && !pinned(to))) return wait_for(lock, *stream);
    return OK;
}

template <typename V>
int fill(Lock& lock, Address to, V value, uint64_t count, const void* handle, bool async) {
    auto stream = stream_of(handle);
    if (!stream) return INVALID_HANDLE;
    std::string why;
    if (to % sizeof(V) != 0) return problem(INVALID_VALUE, "memset: the address is not a multiple of the value's size");
    if (!device_range(to, count * sizeof(V), &why)) return problem(INVALID_VALUE, "memset of " + why);
    if (count == 0) return OK;
    int refused = submit(stream, work(MEMSET_NODE, [=]() -> Failure {
                             std::string problem;
                             if (!device_range(to, count * sizeof(V), &problem)) return Failure{ILLEGAL_ADDRESS, "memset of " + problem};
                             std::fill_n(reinterpret_cast<V*>(to), count, value);
                             counters.memset_bytes += int64_t(count * sizeof(V));
                             return Failure{};
                         }));
    if (refused != OK || async || stream->capture) return refused;
    return wait_for(lock, *stream);
}

int sync_refused(Stream& stream) { // waiting for a capturing stream breaks its capture
    if (!stream.capture) return OK;
    stream.capture->invalid = true;
    return CAPTURE_UNSUPPORTED;
}
// Calls that CUDA names potentially unsafe may not be made by a thread with a capture that is not relaxed.
int unsafe_refused() {
    if (self.capture_mode == 2 || !thread_captures()) return OK;
    invalidate_captures();
    return CAPTURE_UNSUPPORTED;
}

int retain_primary(Handle* context, int device) {
    Handle& handle = driver.primary[device];
    if (handle == nullptr) {
        auto c = std::make_shared<Context>();
        c->device = device;
        c->primary = true;
        handle = driver.contexts.add(c);
    }
    driver.contexts.find(handle)->users++;
    *context = handle;
    return OK;
}
} // namespace

// ---- errors, version, init -----------------------------------------------------------------------------------------------------

EXPORT int cuGetErrorName(int code, const char** name) {
    for (const ErrorName& e : ERROR_NAMES)
        if (e.code == code) return *name = e.name, OK;
    return *name = nullptr, INVALID_VALUE;
}
EXPORT int cuGetErrorString(int code, const char** text) {
    for (const ErrorName& e : ERROR_NAMES)
        if (e.code == code) return *text = e.text, OK;
    return *text = nullptr, INVALID_VALUE;
}
EXPORT int cuInit(unsigned flags) {
    ENTER(cuInit, NOTHING, << " flags=" << flags);
    if (flags != 0) return INVALID_VALUE;
    if (settings.devices == 0) return NO_DEVICE;
    driver.initialized = true;
    return OK;
}
EXPORT int cuDriverGetVersion(int* version) {
    ENTER(cuDriverGetVersion, NOTHING, );
    *version = int(settings.driver_version);
    return OK;
}

// ---- devices ------------------------------------------------------------------------------------------------------------------------

EXPORT int cuDeviceGetCount(int* count) {
    ENTER(cuDeviceGetCount, INITIALIZED, );
    *count = int(settings.devices);
    return OK;
}
EXPORT int cuDeviceGet(int* device, int ordinal) {
    ENTER(cuDeviceGet, INITIALIZED, << " ordinal=" << ordinal);
    if (!valid_device(ordinal)) return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}
EXPORT int cuDeviceGetName(char* name, int capacity, int device) {
    ENTER(cuDeviceGetName, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    if (capacity <= 0) return INVALID_VALUE;
    std::snprintf(name, size_t(capacity), "%s", settings.name.c_str());
    return OK;
}
static int uuid(unsigned char* id, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    std::memset(id, 0, 16);
    std::memcpy(id, "Rheostat-sim", 12);
    id[15] = static_cast<unsigned char>(device);
    return OK;
}
EXPORT int cuDeviceGetUuid(unsigned char* id, int device) {
    ENTER(cuDeviceGetUuid, INITIALIZED, << " device=" << device);
    return uuid(id, device);
}
EXPORT int cuDeviceGetUuid_v2(unsigned char* id, int device) {
    ENTER(cuDeviceGetUuid_v2, INITIALIZED, << " device=" << device);
    return uuid(id, device);
}
EXPORT int cuDeviceGetPCIBusId(char* id, int capacity, int device) {
    ENTER(cuDeviceGetPCIBusId, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    if (capacity < 13) return INVALID_VALUE;
    std::snprintf(id, size_t(capacity), "0000:%02x:00.0", device + 1);
    return OK;
}
EXPORT int cuDeviceGetByPCIBusId(int* device, const char* id) {
    ENTER(cuDeviceGetByPCIBusId, INITIALIZED, << " id=" << id);
    unsigned bus = 0;
    if (std::sscanf(id, "%*x:%x:", &bus) != 1 || !valid_device(int(bus) - 1)) return INVALID_DEVICE;
    *device = int(bus) - 1;
    return OK;
}
EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    ENTER(cuDeviceTotalMem_v2, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    *bytes = size_t(settings.total_bytes);
    return OK;
}
EXPORT int cuDeviceComputeCapability(int* major, int* minor, int device) {
    ENTER(cuDeviceComputeCapability, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    *major = int(settings.major), *minor = int(settings.minor);
    return OK;
}
EXPORT int cuDeviceGetAttribute(int* value, int attribute, int device) {
    ENTER(cuDeviceGetAttribute, INITIALIZED, << " attribute=" << attribute << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    switch (attribute) { // CUdevice_attribute; where no setting says otherwise, an H100's
        case 1: return *value = 1024, OK;            // MAX_THREADS_PER_BLOCK
        case 2: case 3: return *value = 1024, OK;    // MAX_BLOCK_DIM_X, _Y
        case 4: return *value = 64, OK;              // MAX_BLOCK_DIM_Z
        case 5: return *value = 2147483647, OK;      // MAX_GRID_DIM_X
        case 6: case 7: return *value = 65535, OK;   // MAX_GRID_DIM_Y, _Z
        case 8: return *value = 49152, OK;           // MAX_SHARED_MEMORY_PER_BLOCK
        case 9: return *value = 65536, OK;           // TOTAL_CONSTANT_MEMORY
        case 10: return *value = 32, OK;             // WARP_SIZE
        case 12: case 82: return *value = 65536, OK; // MAX_REGISTERS_PER_BLOCK, _PER_MULTIPROCESSOR
        case 13: return *value = 1980000, OK;        // CLOCK_RATE, kHz
        case 16: return *value = int(settings.multiprocessors), OK;
        case 17: case 18: case 20: case 34: case 50: return *value = 0, OK; // no time limit, not integrated, default mode, PCI ids
        case 33: return *value = device + 1, OK;                           // PCI_BUS_ID
        case 19: case 31: case 32: case 41: case 78: case 83: case 91: case 95: case 99: case 120: case 127: return *value = 1, OK;
        case 36: return *value = 2619000, OK;        // MEMORY_CLOCK_RATE, kHz
        case 37: return *value = 5120, OK;           // GLOBAL_MEMORY_BUS_WIDTH
        case 38: return *value = int(settings.l2_bytes), OK;
        case 39: return *value = 2048, OK;           // MAX_THREADS_PER_MULTIPROCESSOR
        case 40: return *value = 3, OK;              // ASYNC_ENGINE_COUNT
        case 75: return *value = int(settings.major), OK;
        case 76: return *value = int(settings.minor), OK;
        case 81: return *value = int(settings.shared_optin) + 1024, OK; // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        case 97: return *value = int(settings.shared_optin), OK;
        case 106: return *value = 32, OK;            // MAX_BLOCKS_PER_MULTIPROCESSOR
        case 108: return *value = int(settings.l2_bytes) * 5 / 8, OK; // MAX_PERSISTING_L2_CACHE_SIZE
        case 111: return *value = 1024, OK;          // RESERVED_SHARED_MEMORY_PER_BLOCK
        default: return attribute > 0 && attribute < 150 ? (*value = 0, OK) : INVALID_VALUE;
    }
}

// ---- contexts -----------------------------------------------------------------------------------------------------------------------

EXPORT int cuDevicePrimaryCtxRetain(Handle* context, int device) {
    ENTER(cuDevicePrimaryCtxRetain, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    return retain_primary(context, device);
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER(cuDevicePrimaryCtxRelease_v2, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    auto c = driver.contexts.find(driver.primary[device]);
    if (!c) return INVALID_CONTEXT;
    if (--c->users == 0) {
        driver.contexts.remove(driver.primary[device]);
        driver.primary.erase(device);
    }
    return OK;
}
EXPORT int cuDevicePrimaryCtxReset_v2(int device) {
    ENTER(cuDevicePrimaryCtxReset_v2, INITIALIZED, << " device=" << device);
    return valid_device(device) ? NOT_SUPPORTED : INVALID_DEVICE;
}
EXPORT int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
    ENTER(cuDevicePrimaryCtxSetFlags_v2, INITIALIZED, << " device=" << device << " flags=" << flags);
    return valid_device(device) ? OK : INVALID_DEVICE;
}
EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    ENTER(cuDevicePrimaryCtxGetState, INITIALIZED, << " device=" << device);
    if (!valid_device(device)) return INVALID_DEVICE;
    *flags = 0, *active = driver.primary.count(device) > 0;
    return OK;
}
static int create_context(Handle* context, int device) {
    if (!valid_device(device)) return INVALID_DEVICE;
    auto c = std::make_shared<Context>();
    c->device = device;
    *context = self.context = driver.contexts.add(c);
    self.generation = generation;
    return OK;
}
EXPORT int cuCtxCreate_v2(Handle* context, unsigned flags, int device) {
    ENTER(cuCtxCreate_v2, INITIALIZED, << " flags=" << flags << " device=" << device);
    return create_context(context, device);
}
EXPORT int cuCtxCreate_v4(Handle* context, const void*, unsigned flags, int device) {
    ENTER(cuCtxCreate_v4, INITIALIZED, << " flags=" << flags << " device=" << device);
    return create_context(context, device);
}
EXPORT int cuCtxDestroy_v2(Handle context) {
    ENTER(cuCtxDestroy_v2, INITIALIZED, );
    auto c = driver.contexts.find(context);
    if (!c || c->primary) return INVALID_CONTEXT;
    driver.contexts.remove(context);
    if (self.context == context) self.context = nullptr;
    return OK;
}
EXPORT int cuCtxSetCurrent(Handle context) {
    ENTER(cuCtxSetCurrent, INITIALIZED, );
    if (context != nullptr && !driver.contexts.find(context)) return INVALID_CONTEXT;
    self.context = context;
    self.generation = generation;
    return OK;
}
EXPORT int cuCtxGetCurrent(Handle* context) {
    ENTER(cuCtxGetCurrent, INITIALIZED, );
    *context = current_device() < 0 ? nullptr : self.context;
    return OK;
}
EXPORT int cuCtxPushCurrent_v2(Handle context) {
    ENTER(cuCtxPushCurrent_v2, INITIALIZED, );
    if (!driver.contexts.find(context)) return INVALID_CONTEXT;
    if (self.generation != generation) self.below.clear();
    self.below.push_back(self.generation == generation ? self.context : nullptr);
    self.context = context;
    self.generation = generation;
    return OK;
}
EXPORT int cuCtxPopCurrent_v2(Handle* context) {
    ENTER(cuCtxPopCurrent_v2, CONTEXT, );
    if (context != nullptr) *context = self.context;
    self.context = self.below.empty() ? nullptr : self.below.back();
    if (!self.below.empty()) self.below.pop_back();
    return OK;
}
EXPORT int cuCtxGetDevice(int* device) {
    ENTER(cuCtxGetDevice, CONTEXT, );
    *device = current_device();
    return OK;
}
EXPORT int cuCtxGetFlags(unsigned* flags) {
    ENTER(cuCtxGetFlags, CONTEXT, );
    *flags = 0;
    return OK;
}
EXPORT int cuCtxGetApiVersion(Handle context, unsigned* version) {
    ENTER(cuCtxGetApiVersion, INITIALIZED, );
    if (context != nullptr && !driver.contexts.find(context)) return INVALID_CONTEXT;
    *version = 3020;
    return OK;
}
EXPORT int cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER(cuCtxGetStreamPriorityRange, CONTEXT, );
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return OK;
}
EXPORT int cuCtxSynchronize() {
    ENTER(cuCtxSynchronize, CONTEXT, );
    if (thread_captures()) return invalidate_captures(), CAPTURE_UNSUPPORTED;
    return wait_for_all(lock);
}

// ---- memory -------------------------------------------------------------------------------------------------------------------------

EXPORT int cuMemGetInfo_v2(size_t* free, size_t* total) {
    ENTER(cuMemGetInfo_v2, CONTEXT, );
    const int64_t limit = std::min(settings.total_bytes, settings.limit_bytes);
    *free = size_t(std::max(int64_t(0), limit - used_bytes(current_device())));
    *total = size_t(settings.total_bytes);
    return OK;
}
EXPORT int cuMemAlloc_v2(Address* address, size_t bytes) {
    ENTER(cuMemAlloc_v2, CONTEXT, << " bytes=" << bytes);
    if (int refused = unsafe_refused()) return refused;
    if (bytes == 0 || address == nullptr) return INVALID_VALUE;
    const int device = current_device();
    const uint64_t whole = (bytes + GRANULE - 1) / GRANULE * GRANULE, limit = uint64_t(std::min(settings.total_bytes, settings.limit_bytes));
    if (bytes > limit || uint64_t(used_bytes(device)) + whole > limit) return OUT_OF_MEMORY;
    Allocation* a = allocate(bytes, false, device);
    if (a == nullptr) return OUT_OF_MEMORY;
    *address = a->begin;
    return OK;
}
EXPORT int cuMemFree_v2(Address address) {
    ENTER(cuMemFree_v2, CONTEXT, << " " << place(address));
    if (int refused = unsafe_refused()) return refused;
    if (address == 0) return OK;
    Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a == nullptr || !a->live || a->pinned || a->begin != address)
        return problem(INVALID_VALUE, "cuMemFree of " + describe(address) + ", which is not the beginning of a live device allocation");
    if (int failed = wait_for_all(lock)) return failed;
    if (a->live) release(a);
    return OK;
}
static int host_alloc(void** out, size_t bytes) {
    if (int refused = unsafe_refused()) return refused;
    if (bytes == 0 || out == nullptr) return INVALID_VALUE;
    Allocation* a = allocate(bytes, true, current_device());
    if (a == nullptr) return OUT_OF_MEMORY;
    *out = reinterpret_cast<void*>(a->begin);
    return OK;
}
EXPORT int cuMemHostAlloc(void** out, size_t bytes, unsigned flags) {
    ENTER(cuMemHostAlloc, CONTEXT, << " bytes=" << bytes << " flags=" << flags);
    return host_alloc(out, bytes);
}
EXPORT int cuMemAllocHost_v2(void** out, size_t bytes) {
    ENTER(cuMemAllocHost_v2, CONTEXT, << " bytes=" << bytes);
    return host_alloc(out, bytes);
}
EXPORT int cuMemFreeHost(void* p) {
    ENTER(cuMemFreeHost, CONTEXT, << " " << host_place(p));
    if (int refused = unsafe_refused()) return refused;
    Allocation* a = range_begin == 0 ? nullptr : allocation_at(at(p));
    if (a == nullptr || !a->live || !a->pinned || a->begin != at(p))
        return problem(INVALID_VALUE, "cuMemFreeHost of " + describe(at(p)) + ", which is not the beginning of live pinned memory");
    if (int failed = wait_for_all(lock)) return failed;
    if (a->live) release(a);
    return OK;
}
EXPORT int cuMemHostGetDevicePointer_v2(Address* address, void* p, unsigned flags) {
    ENTER(cuMemHostGetDevicePointer_v2, CONTEXT, << " " << host_place(p) << " flags=" << flags);
    if (!pinned(p)) return problem(INVALID_VALUE, "the memory is not pinned: " + describe(at(p)));
    *address = at(p);
    return OK;
}
EXPORT int cuMemHostGetFlags(unsigned* flags, void* p) {
    ENTER(cuMemHostGetFlags, CONTEXT, );
    if (!pinned(p)) return INVALID_VALUE;
    *flags = 3; // portable, mapped
    return OK;
}
EXPORT int cuMemHostRegister_v2(void* p, size_t bytes, unsigned flags) {
    ENTER(cuMemHostRegister_v2, CONTEXT, << " bytes=" << bytes << " flags=" << flags);
    if (p == nullptr || bytes == 0) return INVALID_VALUE;
    for (const HostRange& r : registered)
        if (at(p) < r.begin + r.bytes && r.begin < at(p) + bytes) return HOST_MEMORY_ALREADY_REGISTERED;
    registered.push_back({at(p), bytes});
    return OK;
}
EXPORT int cuMemHostUnregister(void* p) {
    ENTER(cuMemHostUnregister, CONTEXT, );
    if (int failed = wait_for_all(lock)) return failed;
    for (size_t i = 0; i < registered.size(); i++)
        if (registered[i].begin == at(p)) return registered.erase(registered.begin() + long(i)), OK;
    return HOST_MEMORY_NOT_REGISTERED;
}
EXPORT int cuMemGetAddressRange_v2(Address* begin, size_t* bytes, Address address) {
    ENTER(cuMemGetAddressRange_v2, CONTEXT, << " " << place(address));
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a == nullptr || !a->live || address - a->begin >= a->bytes) return NOT_FOUND;
    if (begin != nullptr) *begin = a->begin;
    if (bytes != nullptr) *bytes = a->bytes;
    return OK;
}
EXPORT int cuPointerGetAttribute(void* data, int attribute, Address address) {
    ENTER(cuPointerGetAttribute, CONTEXT, << " attribute=" << attribute << " " << place(address));
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a == nullptr || !a->live) return INVALID_VALUE;
    switch (attribute) {
        case 2: return *static_cast<unsigned*>(data) = a->pinned ? 1 : 2, OK; // MEMORY_TYPE
        case 3: return *static_cast<Address*>(data) = address, OK;            // DEVICE_POINTER
        case 4: return a->pinned ? (*static_cast<Address*>(data) = address, OK) : INVALID_VALUE; // HOST_POINTER
        case 9: return *static_cast<int*>(data) = a->device, OK;              // DEVICE_ORDINAL
        default: return NOT_SUPPORTED;
    }
}

#define COPY(function, direction, to_type, from_type, to_place, from_place)                                                    \
    EXPORT int function##Async_v2(to_type to, from_type from, size_t bytes, Handle stream) {                                   \
        ENTER(function##Async_v2, CONTEXT,                                                                                     \
              << " to=" << to_place << " from=" << from_place << " bytes=" << bytes << " stream=" << stream_name(stream));     \
        return copy(lock, direction, (void*)to, (const void*)from, bytes, stream, true);                                       \
    }                                                                                                                          \
    EXPORT int function##_v2(to_type to, from_type from, size_t bytes) {                                                       \
        ENTER(function##_v2, CONTEXT, << " to=" << to_place << " from=" << from_place << " bytes=" << bytes);                  \
        return copy(lock, direction, (void*)to, (const void*)from, bytes, nullptr, false);                                     \
    }
COPY(cuMemcpyHtoD, TO_DEVICE, Address, const void*, place(to), host_place(from))
COPY(cuMemcpyDtoH, TO_HOST, void*, Address, host_place(to), place(from))
COPY(cuMemcpyDtoD, ON_DEVICE, Address, Address, place(to), place(from))

static Direction direction_of(Address to, Address from) { // by the addresses, as unified addressing does
    auto on_device = [](Address a) {
        const Allocation* b = range_begin == 0 ? nullptr : allocation_at(a);
        return b != nullptr && !b->pinned;
    };
    return on_device(to) ? (on_device(from) ? ON_DEVICE : TO_DEVICE) : TO_HOST;
}
EXPORT int cuMemcpyAsync(Address to, Address from, size_t bytes, Handle stream) {
    ENTER(cuMemcpyAsync, CONTEXT, << " to=" << place(to) << " from=" << place(from) << " bytes=" << bytes << " stream=" << stream_name(stream));
    return copy(lock, direction_of(to, from), (void*)to, (const void*)from, bytes, stream, true);
}
EXPORT int cuMemcpy(Address to, Address from, size_t bytes) {
    ENTER(cuMemcpy, CONTEXT, << " to=" << place(to) << " from=" << place(from) << " bytes=" << bytes);
    return copy(lock, direction_of(to, from), (void*)to, (const void*)from, bytes, nullptr, false);
}

#define FILL(bits, type)                                                                                                          \
    EXPORT int cuMemsetD##bits##Async(Address to, type value, size_t count, Handle stream) {                                      \
        ENTER(cuMemsetD##bits##Async, CONTEXT,                                                                                    \
              << " to=" << place(to) << " value=" << unsigned(value) << " count=" << count << " stream=" << stream_name(stream)); \
        return fill<type>(lock, to, value, count, stream, true);                                                                  \
    }                                                                                                                             \
    EXPORT int cuMemsetD##bits##_v2(Address to, type value, size_t count) {                                                       \
        ENTER(cuMemsetD##bits##_v2, CONTEXT, << " to=" << place(to) << " value=" << unsigned(value) << " count=" << count);       \
        return fill<type>(lock, to, value, count, nullptr, false);                                                                \
    }
FILL(8, uint8_t)
FILL(16, uint16_t)
FILL(32, uint32_t)

// ---- modules and functions ----------------------------------------------------------------------------------------------------------

static int load(Handle* handle, const void* image) {
    if (image == nullptr) return INVALID_VALUE;
    std::shared_ptr<Module> module;
    const Failure failure = load_module(image, &module);
    if (failure.code != OK) return problem(failure.code, failure.text);
    *handle = driver.modules.add(module);
    return OK;
}
EXPORT int cuModuleLoadData(Handle* module, const void* image) {
    ENTER(cuModuleLoadData, CONTEXT, );
    return load(module, image);
}
EXPORT int cuModuleLoadDataEx(Handle* module, const void* image, unsigned options, void*, void*) {
    ENTER(cuModuleLoadDataEx, CONTEXT, << " options=" << options);
    return load(module, image);
}
EXPORT int cuModuleLoadFatBinary(Handle* module, const void* image) {
    ENTER(cuModuleLoadFatBinary, CONTEXT, );
    return load(module, image);
}
EXPORT int cuModuleUnload(Handle module) {
    ENTER(cuModuleUnload, CONTEXT, << " module=" << driver.modules.number(module));
    auto m = driver.modules.find(module);
    if (!m) return INVALID_HANDLE;
    if (int failed = wait_for_all(lock)) return failed;
    for (auto i = driver.functions.live.begin(); i != driver.functions.live.end();)
        i = i->second->module == m ? driver.functions.live.erase(i) : std::next(i);
    driver.modules.remove(module);
    return OK;
}
EXPORT int cuModuleGetFunction(Handle* function, Handle module, const char* name) {
    ENTER(cuModuleGetFunction, CONTEXT, << " module=" << driver.modules.number(module) << " name=" << name);
    auto m = driver.modules.find(module);
    if (!m) return INVALID_HANDLE;
    for (auto& [handle, f] : driver.functions.live)
        if (f->module == m && f->name == name) return *function = reinterpret_cast<Handle>(handle), OK;
    std::shared_ptr<Function> f;
    const Failure failure = find_function(m, name, &f);
    if (failure.code != OK) return problem(failure.code, failure.text);
    *function = driver.functions.add(f);
    return OK;
}
static std::string function_name(Handle function) {
    auto f = driver.functions.find(function);
    return f ? f->name : "?";
}
EXPORT int cuFuncGetAttribute(int* value, int attribute, Handle function) {
    ENTER(cuFuncGetAttribute, CONTEXT, << " " << function_name(function) << " attribute=" << attribute);
    auto f = driver.functions.find(function);
    if (!f) return INVALID_HANDLE;
    switch (attribute) { // CUfunction_attribute; registers and local memory are not known here
        case 0: return *value = 1024, OK;
        case 1: return *value = int(f->static_shared), OK;
        case 2: case 3: case 7: return *value = 0, OK;
        case 4: return *value = 32, OK;
        case 5: case 6: return *value = int(settings.major * 10 + settings.minor), OK;
        case 8: return *value = f->max_dynamic_shared, OK;
        case 9: return *value = f->carveout, OK;
        default: return attribute > 9 && attribute < 16 ? (*value = 0, OK) : INVALID_VALUE;
    }
}
EXPORT int cuFuncSetAttribute(Handle function, int attribute, int value) {
    ENTER(cuFuncSetAttribute, CONTEXT, << " " << function_name(function) << " attribute=" << attribute << " value=" << value);
    auto f = driver.functions.find(function);
    if (!f) return INVALID_HANDLE;
    if (attribute == 8) {
        if (value < 0 || value + int64_t(f->static_shared) > settings.shared_optin) return INVALID_VALUE;
        return f->max_dynamic_shared = value, OK;
    }
    if (attribute == 9) return value < -1 || value > 100 ? INVALID_VALUE : (f->carveout = value, OK);
    return attribute > 9 && attribute < 16 ? OK : INVALID_VALUE;
}
EXPORT int cuFuncSetCacheConfig(Handle function, int config) {
    ENTER(cuFuncSetCacheConfig, CONTEXT, << " " << function_name(function) << " config=" << config);
    return driver.functions.find(function) ? OK : INVALID_HANDLE;
}
EXPORT int cuFuncGetModule(Handle* module, Handle function) {
    ENTER(cuFuncGetModule, CONTEXT, << " " << function_name(function));
    auto f = driver.functions.find(function);
    if (!f) return INVALID_HANDLE;
    for (auto& [handle, m] : driver.modules.live)
        if (m == f->module) return *module = reinterpret_cast<Handle>(handle), OK;
    return INVALID_HANDLE;
}
EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Handle function, int block_threads, size_t shared_bytes) {
    ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessor, CONTEXT,
          << " " << function_name(function) << " threads=" << block_threads << " shared=" << shared_bytes);
    auto f = driver.functions.find(function);
    if (!f) return INVALID_HANDLE;
    if (block_threads <= 0 || block_threads > 1024) return INVALID_VALUE;
    const int64_t shared = int64_t(shared_bytes) + f->static_shared + 1024; // 1 KiB a block is the system's
    *blocks = int(std::min({int64_t(32), int64_t(2048 / block_threads), (settings.shared_optin + 1024) / shared}));
    return OK;
}

struct LaunchConfig { // CUlaunchConfig
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    Handle stream;
    const unsigned* attributes; // CUlaunchAttribute: id, 4 bytes of padding, 64 of value
    unsigned attribute_count;
};

static int launch(Handle function, dim3 grid, dim3 block, unsigned shared_bytes, Handle handle, void** parameters, void** extra) {
    auto f = driver.functions.find(function);
    auto stream = stream_of(handle);
    if (!f || !stream) return INVALID_HANDLE;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
        return problem(INVALID_VALUE, "launch of " + f->name + ": a grid or block size is 0");
    if (grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 || block.z > 64 ||
        uint64_t(block.x) * block.y * block.z > 1024)
        return problem(INVALID_VALUE, "launch of " + f->name + ": a grid or block size is past the device's limit");
    if (int64_t(shared_bytes) > std::min(int64_t(f->max_dynamic_shared), settings.shared_optin - int64_t(f->static_shared)) ||
        (f->max_dynamic_shared <= 49152 && shared_bytes + f->static_shared > 49152))
        return problem(INVALID_VALUE, "launch of " + f->name + ": " + std::to_string(shared_bytes) + " + " +
                                          std::to_string(f->static_shared) + " bytes of shared memory; past 48 KiB the function must be told");
    if (extra != nullptr || (parameters == nullptr && f->info->parameter_count > 0))
        return problem(INVALID_VALUE, "launch of " + f->name + ": no kernel parameters");
    auto l = std::make_shared<Launch>();
    l->function = f, l->grid = grid, l->block = block, l->shared_bytes = shared_bytes;
    for (unsigned i = 0; i < f->info->parameter_count; i++) {
        const unsigned bytes = f->info->parameter_bytes[i];
        const size_t begin = l->parameters.size();
        l->parameters.resize(begin + (bytes + 15) / 16 * 16);
        std::memcpy(l->parameters.data() + begin, parameters[i], bytes);
    }
    return submit(stream, work(KERNEL_NODE, [l] { return run_launch(*l); }));
}
static std::string shape(unsigned x, unsigned y, unsigned z) {
    return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}
EXPORT int cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                          unsigned block_z, unsigned shared_bytes, Handle stream, void** parameters, void** extra) {
    ENTER(cuLaunchKernel, CONTEXT,
          << " " << function_name(function) << " grid=" << shape(grid_x, grid_y, grid_z) << " block=" << shape(block_x, block_y, block_z)
          << " shared=" << shared_bytes << " stream=" << stream_name(stream));
    return launch(function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, stream, parameters, extra);
}
EXPORT int cuLaunchKernelEx(const LaunchConfig* c, Handle function, void** parameters, void** extra) {
    ENTER(cuLaunchKernelEx, CONTEXT,
          << " " << function_name(function) << " grid=" << shape(c->grid_x, c->grid_y, c->grid_z)
          << " block=" << shape(c->block_x, c->block_y, c->block_z) << " shared=" << c->shared_bytes
          << " stream=" << stream_name(c->stream) << " attributes=" << c->attribute_count);
    for (unsigned i = 0; i < c->attribute_count; i++) {
        const unsigned* attribute = c->attributes + i * 18;
        if (attribute[0] == 4 && (attribute[2] > 1 || attribute[3] > 1 || attribute[4] > 1)) // CLUSTER_DIMENSION
            return problem(NOT_SUPPORTED, "the simulator has no clusters of blocks");
    }
    return launch(function, {c->grid_x, c->grid_y, c->grid_z}, {c->block_x, c->block_y, c->block_z}, c->shared_bytes, c->stream, parameters,
                  extra);
}

// ---- streams ------------------------------------------------------------------------------------------------------------------------

static int create_stream(Handle* handle, unsigned flags) {
    if (flags > 1) return INVALID_VALUE;
    auto s = std::make_shared<Stream>();
    s->device = current_device();
    s->flags = flags;
    s->number = ++driver.stream_numbers;
    s->start();
    *handle = streams.add(s);
    return OK;
}
EXPORT int cuStreamCreate(Handle* stream, unsigned flags) {
    ENTER(cuStreamCreate, CONTEXT, << " flags=" << flags);
    return create_stream(stream, flags);
}
EXPORT int cuStreamCreateWithPriority(Handle* stream, unsigned flags, int priority) {
    ENTER(cuStreamCreateWithPriority, CONTEXT, << " flags=" << flags << " priority=" << priority);
    return create_stream(stream, flags);
}
EXPORT int cuStreamDestroy_v2(Handle stream) {
    ENTER(cuStreamDestroy_v2, CONTEXT, << " stream=" << stream_name(stream));
    auto s = streams.find(stream);
    if (!s) return INVALID_HANDLE;
    if (s->capture) s->capture->invalid = true;
    s->closing = true;
    changed.notify_all();
    driver.destroyed.push_back(s);
    streams.remove(stream);
    return OK;
}
EXPORT int cuStreamSynchronize(Handle stream) {
    ENTER(cuStreamSynchronize, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    if (int refused = sync_refused(*s)) return refused;
    return wait_for(lock, *s);
}
EXPORT int cuStreamQuery(Handle stream) {
    ENTER(cuStreamQuery, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    if (int refused = sync_refused(*s)) return refused;
    return s->done == s->queued ? OK : NOT_READY;
}
EXPORT int cuStreamGetFlags(Handle stream, unsigned* flags) {
    ENTER(cuStreamGetFlags, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    *flags = s->flags;
    return OK;
}
EXPORT int cuStreamGetPriority(Handle stream, int* priority) {
    ENTER(cuStreamGetPriority, CONTEXT, << " stream=" << stream_name(stream));
    if (!stream_of(stream)) return INVALID_HANDLE;
    *priority = 0;
    return OK;
}
EXPORT int cuLaunchHostFunc(Handle stream, void (*function)(void*), void* data) {
    ENTER(cuLaunchHostFunc, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    return submit(s, work(HOST_NODE, [=] { return function(data), Failure{}; }));
}

// ---- events -------------------------------------------------------------------------------------------------------------------------

EXPORT int cuEventCreate(Handle* event, unsigned flags) {
    ENTER(cuEventCreate, CONTEXT, << " flags=" << flags);
    if (flags > 7) return INVALID_VALUE;
    auto e = std::make_shared<Event>();
    e->flags = flags;
    *event = driver.events.add(e);
    return OK;
}
EXPORT int cuEventDestroy_v2(Handle event) {
    ENTER(cuEventDestroy_v2, CONTEXT, << " event=" << driver.events.number(event));
    return driver.events.remove(event) ? OK : INVALID_HANDLE;
}
static int record(Handle event, Handle stream) {
    auto e = driver.events.find(event);
    auto s = stream_of(stream);
    if (!e || !s) return INVALID_HANDLE;
    if (s->capture) {
        if (s->capture->invalid) return CAPTURE_INVALIDATED;
        e->capture = s->capture;
        e->stream = s.get();
        e->nodes = s->capture->graph->nodes.size();
        e->last = nullptr;
        return OK;
    }
    auto w = std::make_shared<Work>();
    w->record = e->last = std::make_shared<EventRecord>();
    e->capture = nullptr;
    return submit(s, w);
}
EXPORT int cuEventRecord(Handle event, Handle stream) {
    ENTER(cuEventRecord, CONTEXT, << " event=" << driver.events.number(event) << " stream=" << stream_name(stream));
    return record(event, stream);
}
EXPORT int cuEventRecordWithFlags(Handle event, Handle stream, unsigned flags) {
    ENTER(cuEventRecordWithFlags, CONTEXT, << " event=" << driver.events.number(event) << " stream=" << stream_name(stream) << " flags=" << flags);
    return record(event, stream);
}
EXPORT int cuEventQuery(Handle event) {
    ENTER(cuEventQuery, CONTEXT, << " event=" << driver.events.number(event));
    auto e = driver.events.find(event);
    if (!e) return INVALID_HANDLE;
    if (e->capture) return e->capture->invalid = true, 907; // CAPTURED_EVENT
    return !e->last || e->last->done ? OK : NOT_READY;
}
EXPORT int cuEventSynchronize(Handle event) {
    ENTER(cuEventSynchronize, CONTEXT, << " event=" << driver.events.number(event));
    auto e = driver.events.find(event);
    if (!e) return INVALID_HANDLE;
    if (e->capture) return e->capture->invalid = true, 907;
    auto last = e->last;
    const uint64_t born = generation;
    changed.wait(lock, [&] { return !last || last->done || generation != born || sticky_code() != OK; });
    return sticky_code();
}
static int elapsed(float* millis, Handle start, Handle end) {
    auto a = driver.events.find(start), b = driver.events.find(end);
    if (!a || !b || !a->last || !b->last || ((a->flags | b->flags) & 2) != 0) return INVALID_HANDLE;
    if (!a->last->done || !b->last->done) return NOT_READY;
    *millis = std::chrono::duration<float, std::milli>(b->last->time - a->last->time).count();
    return OK;
}
EXPORT int cuEventElapsedTime(float* millis, Handle start, Handle end) {
    ENTER(cuEventElapsedTime, CONTEXT, << " start=" << driver.events.number(start) << " end=" << driver.events.number(end));
    return elapsed(millis, start, end);
}
EXPORT int cuEventElapsedTime_v2(float* millis, Handle start, Handle end) {
    ENTER(cuEventElapsedTime_v2, CONTEXT, << " start=" << driver.events.number(start) << " end=" << driver.events.number(end));
    return elapsed(millis, start, end);
}
EXPORT int cuStreamWaitEvent(Handle stream, Handle event, unsigned flags) {
    ENTER(cuStreamWaitEvent, CONTEXT, << " stream=" << stream_name(stream) << " event=" << driver.events.number(event) << " flags=" << flags);
    auto s = stream_of(stream);
    auto e = driver.events.find(event);
    if (!s || !e) return INVALID_HANDLE;
    if (e->capture) { // fork into the capture, or join within it
        if (e->capture->invalid) return CAPTURE_INVALIDATED;
        if (s->number == 0) return e->capture->invalid = true, CAPTURE_IMPLICIT;
        if (s->capture && s->capture != e->capture) return e->capture->invalid = s->capture->invalid = true, 902; // CAPTURE_MERGE
        Capture& c = *e->capture;
        s->capture = e->capture;
        c.last.emplace(s.get(), 0);
        size_t& joined = c.joined[e->stream];
        joined = std::max(joined, e->nodes);
        return OK;
    }
    if (s->capture) return s->capture->invalid = true, CAPTURE_ISOLATION;
    if (!e->last) return OK;
    auto w = std::make_shared<Work>();
    w->wait = e->last;
    return submit(s, w);
}

// ---- capture and graphs ---------------------------------------------------------------------------------------------------------

EXPORT int cuStreamBeginCapture_v2(Handle stream, int mode) {
    ENTER(cuStreamBeginCapture_v2, CONTEXT, << " stream=" << stream_name(stream) << " mode=" << mode);
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    if (mode < 0 || mode > 2) return INVALID_VALUE;
    if (s->number == 0) return CAPTURE_UNSUPPORTED;
    if (s->capture) return ILLEGAL_STATE;
    s->capture = std::make_shared<Capture>();
    s->capture->origin = s.get();
    s->capture->thread = std::this_thread::get_id();
    s->capture->mode = mode;
    return OK;
}
EXPORT int cuStreamEndCapture(Handle stream, Handle* graph) {
    ENTER(cuStreamEndCapture, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    *graph = nullptr;
    auto c = s->capture;
    if (!c) return ILLEGAL_STATE;
    if (c->origin != s.get()) return c->invalid = true, CAPTURE_UNMATCHED;
    if (c->mode != 2 && c->thread != std::this_thread::get_id()) return CAPTURE_WRONG_THREAD;
    bool unjoined = false;
    for (auto& [other, last] : c->last)
        if (other != c->origin && c->joined[other] < last) unjoined = true;
    for (auto& [handle, other] : streams.live)
        if (other->capture == c) other->capture = nullptr;
    for (auto& [handle, event] : driver.events.live)
        if (event->capture == c) event->capture = nullptr;
    if (c->invalid) return CAPTURE_INVALIDATED;
    if (unjoined) return CAPTURE_UNJOINED;
    *graph = driver.graphs.add(c->graph);
    return OK;
}
EXPORT int cuStreamIsCapturing(Handle stream, int* status) {
    ENTER(cuStreamIsCapturing, CONTEXT, << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!s) return INVALID_HANDLE;
    *status = !s->capture ? 0 : s->capture->invalid ? 2 : 1;
    return OK;
}
EXPORT int cuThreadExchangeStreamCaptureMode(int* mode) {
    ENTER(cuThreadExchangeStreamCaptureMode, INITIALIZED, << " mode=" << *mode);
    if (*mode < 0 || *mode > 2) return INVALID_VALUE;
    std::swap(*mode, self.capture_mode);
    return OK;
}
EXPORT int cuGraphCreate(Handle* graph, unsigned flags) {
    ENTER(cuGraphCreate, CONTEXT, << " flags=" << flags);
    *graph = driver.graphs.add(std::make_shared<Graph>());
    return OK;
}
EXPORT int cuGraphGetNodes(Handle graph, Handle* nodes, size_t* count) {
    ENTER(cuGraphGetNodes, CONTEXT, << " graph=" << driver.graphs.number(graph));
    auto g = driver.graphs.find(graph);
    if (!g) return INVALID_HANDLE;
    if (nodes == nullptr) return *count = g->nodes.size(), OK;
    for (size_t i = 0; i < *count; i++) {
        nodes[i] = nullptr;
        if (i >= g->nodes.size()) continue;
        if (g->nodes[i]->handle == nullptr) g->nodes[i]->handle = driver.nodes.add(g->nodes[i]);
        nodes[i] = g->nodes[i]->handle;
    }
    *count = std::min(*count, g->nodes.size());
    return OK;
}
EXPORT int cuGraphNodeGetType(Handle node, int* type) {
    ENTER(cuGraphNodeGetType, CONTEXT, );
    auto n = driver.nodes.find(node);
    if (!n) return INVALID_HANDLE;
    *type = n->type;
    return OK;
}
static int instantiate(Handle* exec, Handle graph) {
    auto g = driver.graphs.find(graph);
    if (!g) return INVALID_HANDLE;
    auto e = std::make_shared<GraphExec>();
    e->nodes = g->nodes;
    *exec = driver.execs.add(e);
    return OK;
}
EXPORT int cuGraphInstantiateWithFlags(Handle* exec, Handle graph, unsigned long long flags) {
    ENTER(cuGraphInstantiateWithFlags, CONTEXT, << " graph=" << driver.graphs.number(graph) << " flags=" << flags);
    return instantiate(exec, graph);
}
EXPORT int cuGraphInstantiate_v2(Handle* exec, Handle graph, Handle* error_node, char*, size_t) {
    ENTER(cuGraphInstantiate_v2, CONTEXT, << " graph=" << driver.graphs.number(graph));
    if (error_node != nullptr) *error_node = nullptr;
    return instantiate(exec, graph);
}
EXPORT int cuGraphUpload(Handle exec, Handle stream) {
    ENTER(cuGraphUpload, CONTEXT, << " exec=" << driver.execs.number(exec) << " stream=" << stream_name(stream));
    auto s = stream_of(stream);
    if (!driver.execs.find(exec) || !s) return INVALID_HANDLE;
    return submit(s, std::make_shared<Work>());
}
EXPORT int cuGraphLaunch(Handle exec, Handle stream) {
    ENTER(cuGraphLaunch, CONTEXT, << " exec=" << driver.execs.number(exec) << " stream=" << stream_name(stream));
    auto e = driver.execs.find(exec);
    auto s = stream_of(stream);
    if (!e || !s) return INVALID_HANDLE;
    auto w = std::make_shared<Work>();
    w->type = GRAPH_NODE;
    w->nodes = e->nodes;
    counters.graph_launches++;
    return submit(s, w);
}
// What differs in kind or count cannot be taken over. CUgraphExecUpdateResult: 0 success, 2 topology changed, 3 node type changed.
static int update(GraphExec& exec, const Graph& graph) {
    if (exec.nodes.size() != graph.nodes.size()) return 2;
    for (size_t i = 0; i < exec.nodes.size(); i++)
        if (exec.nodes[i]->type != graph.nodes[i]->type) return 3;
    exec.nodes = graph.nodes;
    return 0;
}
struct UpdateResult { // CUgraphExecUpdateResultInfo
    int result;
    Handle error_node, error_from_node;
};
EXPORT int cuGraphExecUpdate_v2(Handle exec, Handle graph, UpdateResult* result) {
    ENTER(cuGraphExecUpdate_v2, CONTEXT, << " exec=" << driver.execs.number(exec) << " graph=" << driver.graphs.number(graph));
    auto e = driver.execs.find(exec);
    auto g = driver.graphs.find(graph);
    if (!e || !g) return INVALID_HANDLE;
    *result = {update(*e, *g), nullptr, nullptr};
    return result->result == 0 ? OK : GRAPH_EXEC_UPDATE_FAILURE;
}
EXPORT int cuGraphExecUpdate(Handle exec, Handle graph, Handle* error_node, int* result) { // as before CUDA 12
    ENTER(cuGraphExecUpdate, CONTEXT, << " exec=" << driver.execs.number(exec) << " graph=" << driver.graphs.number(graph));
    auto e = driver.execs.find(exec);
    auto g = driver.graphs.find(graph);
    if (!e || !g) return INVALID_HANDLE;
    *error_node = nullptr;
    *result = update(*e, *g);
    return *result == 0 ? OK : GRAPH_EXEC_UPDATE_FAILURE;
}
EXPORT int cuGraphDestroy(Handle graph) {
    ENTER(cuGraphDestroy, CONTEXT, << " graph=" << driver.graphs.number(graph));
    auto g = driver.graphs.find(graph);
    if (!g) return INVALID_HANDLE;
    for (auto& node : g->nodes) driver.nodes.remove(node->handle);
    driver.graphs.remove(graph);
    return OK;
}
EXPORT int cuGraphExecDestroy(Handle exec) {
    ENTER(cuGraphExecDestroy, CONTEXT, << " exec=" << driver.execs.number(exec));
    return driver.execs.remove(exec) ? OK : INVALID_HANDLE;
}

// ---- profiler, tensor maps ------------------------------------------------------------------------------------------------------------

EXPORT int cuProfilerStart() {
    ENTER(cuProfilerStart, CONTEXT, );
    return OK;
}
EXPORT int cuProfilerStop() {
    ENTER(cuProfilerStop, CONTEXT, );
    return OK;
}

// Checks what the reference demands; the kernels that would use a tensor map are not simulated yet, so its bytes are the arguments.
EXPORT int cuTensorMapEncodeTiled(void* map, int type, unsigned rank, void* address, const uint64_t* dims, const uint64_t* strides,
                                  const unsigned* box, const unsigned* element_strides, int interleave, int swizzle, int l2, int fill) {
    ENTER(cuTensorMapEncodeTiled, INITIALIZED, << " type=" << type << " rank=" << rank << " swizzle=" << swizzle);
    static const unsigned element_bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4}; // CUtensorMapDataType
    auto refuse = [](const std::string& why) { return problem(INVALID_VALUE, "cuTensorMapEncodeTiled: " + why); };
    if (map == nullptr || at(map) % 64 != 0) return refuse("the map is not aligned to 64 bytes");
    if (type < 0 || type > 12) return refuse("no such data type");
    if (rank < 1 || rank > 5 || (interleave != 0 && rank < 3)) return refuse("rank " + std::to_string(rank));
    if (at(address) % 16 != 0) return refuse("the tensor is not aligned to 16 bytes");
    if (interleave < 0 || interleave > 2 || swizzle < 0 || swizzle > 6 || l2 < 0 || l2 > 3 || fill < 0 || fill > 1)
        return refuse("an enumeration is out of range");
    for (unsigned i = 0; i < rank; i++) {
        if (dims[i] == 0 || dims[i] > uint64_t(1) << 32) return refuse("dimension " + std::to_string(i) + " is " + std::to_string(dims[i]));
        if (box[i] == 0 || box[i] > 256) return refuse("box " + std::to_string(i) + " is " + std::to_string(box[i]));
        if (element_strides[i] == 0 || element_strides[i] > 8) return refuse("an element stride is not in 1..8");
        if (i + 1 < rank && (strides[i] % 16 != 0 || strides[i] >= uint64_t(1) << 40))
            return refuse("stride " + std::to_string(i) + " is " + std::to_string(strides[i]) + " bytes");
    }
    const unsigned inner = box[0] * element_bytes[type];
    if (interleave == 0 && inner % 16 != 0) return refuse("the box's rows are no multiple of 16 bytes");
    static const unsigned swizzle_bytes[] = {0, 32, 64, 128, 128, 128, 128};
    if (interleave == 0 && swizzle != 0 && inner > swizzle_bytes[swizzle]) return refuse("the box's rows are longer than the swizzle's span");
    unsigned char bytes[128] = {};
    const uint64_t head[] = {at(address), uint64_t(unsigned(type)) | uint64_t(rank) << 8 | uint64_t(unsigned(swizzle)) << 16 |
                                              uint64_t(unsigned(interleave)) << 24 | uint64_t(unsigned(fill)) << 32};
    std::memcpy(bytes, head, 16);
    for (unsigned i = 0; i < rank; i++) {
        std::memcpy(bytes + 16 + 8 * i, &dims[i], 8);
        if (i + 1 < rank) std::memcpy(bytes + 56 + 8 * i, &strides[i], 8);
        std::memcpy(bytes + 88 + 4 * i, &box[i], 4);
    }
    std::memcpy(map, bytes, sizeof bytes);
    return OK;
}
