// calls.hpp: what the exported functions of cuda.h, in driver.cpp and driver_*.cpp, share.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "driver.hpp"
#include "errors.hpp"

namespace sim {

using Handle = void*;
using Address = uint64_t;

inline int problem(int code, const std::string& text) {
    note_error(text);
    return code;
}
inline bool pinned(const void* p) {
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    const Allocation* a = range_begin == 0 ? nullptr : allocation_at(address);
    if (a != nullptr) return a->live && a->pinned;
    for (const HostRange& r : registered)
        if (address - r.begin < r.bytes) return true;
    return false;
}
inline std::string host_place(const void* p) { return pinned(p) ? place(reinterpret_cast<uint64_t>(p)) : "host"; }
inline std::string stream_name(const void* handle) {
    if (reinterpret_cast<uint64_t>(handle) <= 2) return "0";
    auto s = streams.find(handle);
    return s ? std::to_string(s->number) : "?";
}
inline uint64_t at(const void* p) { return reinterpret_cast<uint64_t>(p); }
inline bool valid_device(int device) { return device >= 0 && device < settings.devices; }

template <typename F>
std::shared_ptr<Work> work(NodeType type, F run) {
    auto w = std::make_shared<Work>();
    w->type = type;
    w->run = std::move(run);
    return w;
}

inline int sync_refused(Stream& stream) { // waiting for a capturing stream breaks its capture
    if (!stream.capture) return OK;
    stream.capture->invalid = true;
    return CAPTURE_UNSUPPORTED;
}
// Calls that CUDA names potentially unsafe may not be made by a thread with a capture that is not relaxed.
inline int unsafe_refused() {
    if (self.capture_mode == 2 || !thread_captures()) return OK;
    invalidate_captures();
    return CAPTURE_UNSUPPORTED;
}

} // namespace sim
