// driver.cpp: errors, devices, contexts, profiler and tensor maps. This and driver_*.cpp hold the functions of cuda.h that Rheostat
// and JCuda's driver binding call, as the driver exports them. What each does and refuses follows the CUDA driver API
// reference; README.md says what is left out.
#include "calls.hpp"

using namespace sim;

namespace {
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
