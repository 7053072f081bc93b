// driver_graphs.cpp: capture and graphs.
#include "calls.hpp"

using namespace sim;

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
