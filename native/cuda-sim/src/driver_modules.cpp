// driver_modules.cpp: modules, functions and their launches.
#include "calls.hpp"

using namespace sim;

static int load(Handle* handle, const void* image) {
    if (int refused = unsafe_refused()) return refused;
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
    if (int refused = unsafe_refused()) return refused;
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
// Loading takes memory of the device and waits, which is no work for a thread that records.
static int load(Function& f) {
    if (f.loaded) return OK;
    if (int refused = unsafe_refused()) return problem(refused, "kernel " + f.name + " is loaded while a stream records");
    f.loaded = true;
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
    if (int refused = load(*f)) return refused;
    switch (attribute) { // CUfunction_attribute; registers and local memory are not known here
        case 0: return *value = int(f->max_threads), OK;
        case 1: return *value = int(f->static_shared), OK;
        case 2: case 3: case 7: return *value = 0, OK;
        case 4: return *value = 32, OK;
        case 5: // of the PTX
            if (f->module->ptx != nullptr) return *value = ptx::capability(*f->module->ptx), OK;
            [[fallthrough]];
        case 6: return *value = int(settings.major * 10 + settings.minor), OK;
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
    if (block.x * block.y * block.z > f->max_threads)
        return problem(INVALID_VALUE, "launch of " + f->name + ": more threads than the " + std::to_string(f->max_threads) + " of its launch bounds");
    if (int64_t(shared_bytes) > std::min(int64_t(f->max_dynamic_shared), settings.shared_optin - int64_t(f->static_shared)) ||
        (f->max_dynamic_shared <= 49152 && shared_bytes + f->static_shared > 49152))
        return problem(INVALID_VALUE, "launch of " + f->name + ": " + std::to_string(shared_bytes) + " + " +
                                          std::to_string(f->static_shared) + " bytes of shared memory; past 48 KiB the function must be told");
    if (extra != nullptr || (parameters == nullptr && !f->parameters.empty()))
        return problem(INVALID_VALUE, "launch of " + f->name + ": no kernel parameters");
    if (int refused = load(*f)) return refused;
    auto l = std::make_shared<Launch>();
    l->function = f, l->grid = grid, l->block = block, l->shared_bytes = shared_bytes;
    for (size_t i = 0; i < f->parameters.size(); i++) {
        const Parameter& p = f->parameters[i];
        l->parameters.resize(p.offset + p.bytes);
        std::memcpy(l->parameters.data() + p.offset, parameters[i], p.bytes);
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
