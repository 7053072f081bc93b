// driver_streams.cpp: streams and events.
#include "calls.hpp"

using namespace sim;

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
