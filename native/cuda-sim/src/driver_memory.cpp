// driver_memory.cpp: memory of the device and of the host, copies and fills.
#include "calls.hpp"

using namespace sim;

namespace {
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
} // namespace

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
