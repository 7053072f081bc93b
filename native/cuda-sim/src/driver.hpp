// driver.hpp: what the driver's functions keep.
#pragma once
#include "sim.hpp"

namespace sim {

struct Context {
    int device;
    int users = 0; // retains of a primary context
    bool primary = false;
};
struct GraphExec {
    std::vector<std::shared_ptr<Work>> nodes;
};
struct Driver {
    bool initialized = false;
    Table<Context> contexts{0xc0};
    std::map<int, void*> primary; // context of each device
    Table<Module> modules{0x30};
    Table<Function> functions{0xf0};
    Table<Event> events{0xe0};
    Table<Graph> graphs{0x60};
    Table<GraphExec> execs{0x6e};
    Table<Work> nodes{0x4d};
    std::map<int, std::shared_ptr<Stream>> default_streams;
    std::vector<std::shared_ptr<Stream>> destroyed; // stopped by the reset; their last work may still run
    std::map<std::string, void*> function_handles;
    uint64_t stream_numbers = 0;
    void clear() {
        initialized = false;
        contexts.clear(), modules.clear(), functions.clear(), events.clear(), graphs.clear(), execs.clear(), nodes.clear();
        primary.clear(), default_streams.clear(), destroyed.clear(), function_handles.clear();
        stream_numbers = 0;
    }
};
extern Driver& driver;

void stop_stream(Lock& lock, const std::shared_ptr<Stream>& stream);

} // namespace sim
