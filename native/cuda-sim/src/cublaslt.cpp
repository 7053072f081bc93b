// cublaslt.cpp: the functions of cublasLt.h that a trainer calls, and those of cublas_api.h that JCublas does. A product is work of its
// stream and can be captured. What cuBLASLt would refuse is refused; the algorithms that the heuristic offers differ in their ids only.
#include <algorithm>
#include <cstring>

#include "driver.hpp"
#include "gemm.hpp"

using namespace sim;

namespace {
enum Status : int { SUCCESS = 0, NOT_INITIALIZED_ = 1, INVALID_VALUE_ = 7, EXECUTION_FAILED = 13, INTERNAL_ERROR = 14, NOT_SUPPORTED_ = 15 };
enum Type : int { F32 = 0, BF16 = 14 };                    // cudaDataType
enum { COMPUTE_32F = 68 };                                 // cublasComputeType_t
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4 };          // cublasLtEpilogue_t

struct MatmulDesc {
    int compute, scale, pointer_mode = 0, transposed_a = 0, transposed_b = 0, transposed_c = 0, fill = 2, epilogue = EPILOGUE_DEFAULT;
    const void* bias = nullptr;
    int64_t bias_stride = 0;
    int bias_type = -1;
    int sm_target = 0;
    int8_t fast_accumulation = 0;
};
struct Layout {
    unsigned type;
    int order = 0;
    uint64_t rows, columns;
    int64_t ld;
    int batch = 1;
    int64_t stride = 0;
};
struct Preference {
    unsigned search = 0;
    uint64_t workspace = 0;
    unsigned reductions = ~0u;
    unsigned alignment[4] = {256, 256, 256, 256};
    float waves = 0;
    uint64_t implementations = ~uint64_t(0);
};
struct Algo { // cublasLtMatmulAlgo_t: 64 bytes that only this library reads
    uint32_t magic, id, tile, splits, reduction, swizzling, custom, stages;
    uint16_t inner, cluster;
    uint32_t workspace; // KiB
    uint16_t alignment[5]; // bytes that the addresses of A, B, C, D and the bias are multiples of, as far as the heuristic was told
    uint16_t unused;
    uint32_t rest[3];
};
static_assert(sizeof(Algo) == 64, "cublasLtMatmulAlgo_t");
constexpr uint32_t MAGIC = 0x52686574;
struct Heuristic { // cublasLtMatmulHeuristicResult_t
    Algo algo;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Heuristic) == 96, "cublasLtMatmulHeuristicResult_t");
struct Handle {
    int device;
};

Table<Handle> handles{0xb1};
Table<MatmulDesc> descs{0xb2};
Table<Layout> layouts{0xb3};
Table<Preference> preferences{0xb4};

// The driver's answers to enter() as cuBLAS words them.
int status_of(int code) {
    if (code == OK) return SUCCESS;
    return code == NOT_INITIALIZED || code == INVALID_CONTEXT ? NOT_INITIALIZED_ : code < 100 && code > 0 && code != 46 ? code : EXECUTION_FAILED;
}
#define ENTER_LT(function, need, arguments)                                                                            \
    static Site site_(#function);                                                                                      \
    Lock lock;                                                                                                         \
    if (int refused_ = enter(site_, lock, need, [&](std::ostream& out) { out << "" arguments; })) return status_of(refused_)

int problem(int status, const std::string& text) {
    note_error("cublasLt: " + text);
    return status;
}

// Reads or writes one attribute of exactly its size.
template <typename V>
int put(V& field, const void* buffer, size_t bytes) {
    if (buffer == nullptr || bytes != sizeof(V)) return INVALID_VALUE_;
    std::memcpy(&field, buffer, sizeof(V));
    return SUCCESS;
}
template <typename V>
int get(const V& field, void* buffer, size_t bytes, size_t* written) {
    if (written != nullptr) *written = sizeof(V);
    if (bytes == 0) return written == nullptr ? INVALID_VALUE_ : SUCCESS;
    if (buffer == nullptr || bytes != sizeof(V)) return INVALID_VALUE_;
    std::memcpy(buffer, &field, sizeof(V));
    return SUCCESS;
}

struct Problem {
    MatmulDesc d;
    Layout a, b, c, out;
    uint64_t m, n, k;
};

// Shapes, types and orders that fit, or why not.
int check(Problem& p) {
    auto transposed = [](int op) { return op != 0; };
    p.m = transposed(p.d.transposed_a) ? p.a.columns : p.a.rows;
    p.k = transposed(p.d.transposed_a) ? p.a.rows : p.a.columns;
    p.n = transposed(p.d.transposed_b) ? p.b.rows : p.b.columns;
    const uint64_t k = transposed(p.d.transposed_b) ? p.b.columns : p.b.rows;
    if (k != p.k || p.c.rows != p.m || p.c.columns != p.n || p.out.rows != p.m || p.out.columns != p.n) {
        std::ostringstream out;
        out << "shapes do not fit: op(A) " << p.m << "x" << p.k << ", op(B) " << k << "x" << p.n << ", C " << p.c.rows << "x" << p.c.columns
            << ", D " << p.out.rows << "x" << p.out.columns;
        return problem(INVALID_VALUE_, out.str());
    }
    for (const Layout* l : {&p.a, &p.b, &p.c, &p.out}) {
        if (l->order != 0) return problem(NOT_SUPPORTED_, "only column order is simulated");
        if (l->ld < int64_t(l->rows)) return problem(INVALID_VALUE_, "a leading dimension is less than the rows");
        if (l->batch != p.out.batch) return problem(INVALID_VALUE_, "batch counts differ");
    }
    if (p.d.compute != COMPUTE_32F || p.d.scale != F32) return problem(NOT_SUPPORTED_, "only CUBLAS_COMPUTE_32F with f32 scale is simulated");
    if (p.d.pointer_mode != 0) return problem(NOT_SUPPORTED_, "only host alpha and beta are simulated");
    if (p.d.transposed_c != 0) return problem(NOT_SUPPORTED_, "op(C) is not N");
    const bool inputs = p.a.type == p.b.type && (p.a.type == F32 || p.a.type == BF16);
    const bool outputs = p.c.type == p.out.type && (p.out.type == F32 || (p.out.type == BF16 && p.a.type == BF16));
    if (!inputs || !outputs) return problem(NOT_SUPPORTED_, "types of A, B, C, D: only f32, or bf16 into bf16 or f32");
    if (p.d.epilogue != EPILOGUE_DEFAULT && p.d.epilogue != EPILOGUE_BIAS) return problem(NOT_SUPPORTED_, "epilogue " + std::to_string(p.d.epilogue));
    return SUCCESS;
}

bool take(Problem& p, const void* desc, const void* a, const void* b, const void* c, const void* out) {
    auto d = descs.find(desc);
    auto la = layouts.find(a), lb = layouts.find(b), lc = layouts.find(c), lo = layouts.find(out);
    if (!d || !la || !lb || !lc || !lo) return false;
    p = Problem{*d, *la, *lb, *lc, *lo, 0, 0, 0};
    return true;
}

// What the library takes the addresses to be that a heuristic saw: up to 256, and so it takes null.
uint16_t alignment_of(const void* address) {
    uint64_t bit = 1;
    while (bit < 256 && uint64_t(address) % (2 * bit) == 0) bit *= 2;
    return uint16_t(bit);
}

uint64_t element(unsigned type) { return type == BF16 ? 2 : 4; }

Failure run(const Problem& p, float alpha, const char* a, const char* b, float beta, const char* c, char* out) {
    auto inside = [](const char* name, const Layout& l, const char* data, std::string* why) {
        if (l.rows == 0 || l.columns == 0) return true;
        const uint64_t bytes = element(l.type) * (uint64_t(l.stride) * uint64_t(l.batch - 1) + uint64_t(l.ld) * (l.columns - 1) + l.rows);
        std::string problem;
        if (device_range(reinterpret_cast<uint64_t>(data), bytes, &problem)) return true;
        *why = std::string("cublasLtMatmul: ") + name + ": " + problem;
        return false;
    };
    std::string why;
    if (!inside("A", p.a, a, &why) || !inside("B", p.b, b, &why) || (beta != 0 && !inside("C", p.c, c, &why)) || !inside("D", p.out, out, &why))
        return Failure{ILLEGAL_ADDRESS, why};
    const unsigned bias_type = p.d.bias_type < 0 ? p.out.type : unsigned(p.d.bias_type);
    const char* bias = p.d.epilogue == EPILOGUE_BIAS ? static_cast<const char*>(p.d.bias) : nullptr;
    if (bias != nullptr && !device_range(reinterpret_cast<uint64_t>(bias), p.m * element(bias_type), &why))
        return Failure{ILLEGAL_ADDRESS, "cublasLtMatmul: bias: " + why};
    auto load = [](const char* data, unsigned type, uint64_t i) {
        return type == BF16 ? from_bf16(reinterpret_cast<const uint16_t*>(data)[i]) : reinterpret_cast<const float*>(data)[i];
    };
    std::vector<float> sums(p.m * p.n);
    for (int batch = 0; batch < p.out.batch; batch++) {
        auto at = [&](const char* data, const Layout& l) { return data + element(l.type) * uint64_t(l.stride) * uint64_t(batch); };
        const Operand x{at(a, p.a), p.d.transposed_a ? p.a.ld : 1, p.d.transposed_a ? 1 : p.a.ld, p.a.type == BF16};
        const Operand y{at(b, p.b), p.d.transposed_b ? p.b.ld : 1, p.d.transposed_b ? 1 : p.b.ld, p.b.type == BF16};
        multiply(sums.data(), int64_t(p.m), int64_t(p.n), int64_t(p.k), x, y);
        const char* c_data = beta != 0 ? at(c, p.c) : nullptr;
        char* d_data = const_cast<char*>(at(out, p.out));
        const char* bias_data = bias == nullptr ? nullptr : bias + element(bias_type) * uint64_t(p.d.bias_stride) * uint64_t(batch);
        for (uint64_t j = 0; j < p.n; j++)
            for (uint64_t i = 0; i < p.m; i++) {
                float v = alpha * sums[i + j * p.m];
                if (c_data != nullptr) v += beta * load(c_data, p.c.type, i + j * uint64_t(p.c.ld));
                if (bias_data != nullptr) v += load(bias_data, bias_type, i);
                if (p.out.type == BF16) reinterpret_cast<uint16_t*>(d_data)[i + j * uint64_t(p.out.ld)] = to_bf16(v);
                else reinterpret_cast<float*>(d_data)[i + j * uint64_t(p.out.ld)] = v;
            }
    }
    counters.matmuls++;
    return Failure{};
}
} // namespace

EXPORT size_t cublasLtGetVersion() { return size_t(settings.cublaslt_version); }
EXPORT size_t cublasLtGetCudartVersion() { return size_t(settings.driver_version); }
EXPORT const char* cublasLtGetStatusName(int status) {
    switch (status) {
        case 0: return "CUBLAS_STATUS_SUCCESS";
        case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
        case 7: return "CUBLAS_STATUS_INVALID_VALUE";
        case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
        case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
        case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
        case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
        case 16: return "CUBLAS_STATUS_LICENSE_ERROR";
        default: return "CUBLAS_STATUS_UNKNOWN";
    }
}
EXPORT const char* cublasLtGetStatusString(int status) {
    switch (status) {
        case 0: return "success";
        case 1: return "the library was not initialized";
        case 3: return "the resource allocation failed";
        case 7: return "an unsupported value or parameter was passed to the function";
        case 8: return "the function requires a feature absent from the architecture of the device";
        case 11: return "an access to GPU memory space failed";
        case 13: return "the function failed to launch on the GPU";
        case 14: return "an internal operation failed";
        case 15: return "the functionality is not supported";
        default: return "an unknown status";
    }
}

EXPORT int cublasLtCreate(void** handle) {
    ENTER_LT(cublasLtCreate, CONTEXT, );
    auto h = std::make_shared<Handle>();
    h->device = current_device();
    *handle = handles.add(h);
    return SUCCESS;
}
EXPORT int cublasLtDestroy(void* handle) {
    ENTER_LT(cublasLtDestroy, NOTHING, );
    return handles.remove(handle) ? SUCCESS : INVALID_VALUE_;
}

EXPORT int cublasLtMatmulDescCreate(void** desc, int compute, int scale) {
    ENTER_LT(cublasLtMatmulDescCreate, NOTHING, << " compute=" << compute << " scale=" << scale);
    auto d = std::make_shared<MatmulDesc>();
    d->compute = compute, d->scale = scale;
    *desc = descs.add(d);
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescDestroy(void* desc) {
    ENTER_LT(cublasLtMatmulDescDestroy, NOTHING, );
    return descs.remove(desc) ? SUCCESS : INVALID_VALUE_;
}
EXPORT int cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* buffer, size_t bytes) {
    ENTER_LT(cublasLtMatmulDescSetAttribute, NOTHING, << " attribute=" << attribute << " bytes=" << bytes);
    auto d = descs.find(desc);
    if (!d) return INVALID_VALUE_;
    switch (attribute) { // cublasLtMatmulDescAttributes_t
        case 0: return put(d->compute, buffer, bytes);
        case 1: return put(d->scale, buffer, bytes);
        case 2: return put(d->pointer_mode, buffer, bytes);
        case 3: return put(d->transposed_a, buffer, bytes);
        case 4: return put(d->transposed_b, buffer, bytes);
        case 5: return put(d->transposed_c, buffer, bytes);
        case 6: return put(d->fill, buffer, bytes);
        case 7: return put(d->epilogue, buffer, bytes);
        case 8: return put(d->bias, buffer, bytes);
        case 10: return put(d->bias_stride, buffer, bytes);
        case 15: return put(d->sm_target, buffer, bytes);
        case 25: return put(d->fast_accumulation, buffer, bytes);
        case 26: return put(d->bias_type, buffer, bytes);
        default: return problem(NOT_SUPPORTED_, "matmul descriptor attribute " + std::to_string(attribute));
    }
}
EXPORT int cublasLtMatmulDescGetAttribute(void* desc, int attribute, void* buffer, size_t bytes, size_t* written) {
    ENTER_LT(cublasLtMatmulDescGetAttribute, NOTHING, << " attribute=" << attribute);
    auto d = descs.find(desc);
    if (!d) return INVALID_VALUE_;
    switch (attribute) {
        case 0: return get(d->compute, buffer, bytes, written);
        case 1: return get(d->scale, buffer, bytes, written);
        case 3: return get(d->transposed_a, buffer, bytes, written);
        case 4: return get(d->transposed_b, buffer, bytes, written);
        case 7: return get(d->epilogue, buffer, bytes, written);
        case 8: return get(d->bias, buffer, bytes, written);
        case 26: return get(d->bias_type, buffer, bytes, written);
        default: return NOT_SUPPORTED_;
    }
}

EXPORT int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t ld) {
    ENTER_LT(cublasLtMatrixLayoutCreate, NOTHING, << " type=" << type << " " << rows << "x" << columns << " ld=" << ld);
    auto l = std::make_shared<Layout>();
    l->type = unsigned(type), l->rows = rows, l->columns = columns, l->ld = ld;
    *layout = layouts.add(l);
    return SUCCESS;
}
EXPORT int cublasLtMatrixLayoutDestroy(void* layout) {
    ENTER_LT(cublasLtMatrixLayoutDestroy, NOTHING, );
    return layouts.remove(layout) ? SUCCESS : INVALID_VALUE_;
}
EXPORT int cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* buffer, size_t bytes) {
    ENTER_LT(cublasLtMatrixLayoutSetAttribute, NOTHING, << " attribute=" << attribute << " bytes=" << bytes);
    auto l = layouts.find(layout);
    if (!l) return INVALID_VALUE_;
    switch (attribute) { // cublasLtMatrixLayoutAttribute_t
        case 0: return put(l->type, buffer, bytes);
        case 1: return put(l->order, buffer, bytes);
        case 2: return put(l->rows, buffer, bytes);
        case 3: return put(l->columns, buffer, bytes);
        case 4: return put(l->ld, buffer, bytes);
        case 5: return put(l->batch, buffer, bytes);
        case 6: return put(l->stride, buffer, bytes);
        default: return problem(NOT_SUPPORTED_, "matrix layout attribute " + std::to_string(attribute));
    }
}
EXPORT int cublasLtMatrixLayoutGetAttribute(void* layout, int attribute, void* buffer, size_t bytes, size_t* written) {
    ENTER_LT(cublasLtMatrixLayoutGetAttribute, NOTHING, << " attribute=" << attribute);
    auto l = layouts.find(layout);
    if (!l) return INVALID_VALUE_;
    switch (attribute) {
        case 0: return get(l->type, buffer, bytes, written);
        case 1: return get(l->order, buffer, bytes, written);
        case 2: return get(l->rows, buffer, bytes, written);
        case 3: return get(l->columns, buffer, bytes, written);
        case 4: return get(l->ld, buffer, bytes, written);
        case 5: return get(l->batch, buffer, bytes, written);
        case 6: return get(l->stride, buffer, bytes, written);
        default: return NOT_SUPPORTED_;
    }
}

EXPORT int cublasLtMatmulPreferenceCreate(void** preference) {
    ENTER_LT(cublasLtMatmulPreferenceCreate, NOTHING, );
    *preference = preferences.add(std::make_shared<Preference>());
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceDestroy(void* preference) {
    ENTER_LT(cublasLtMatmulPreferenceDestroy, NOTHING, );
    return preferences.remove(preference) ? SUCCESS : INVALID_VALUE_;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* buffer, size_t bytes) {
    ENTER_LT(cublasLtMatmulPreferenceSetAttribute, NOTHING, << " attribute=" << attribute << " bytes=" << bytes);
    auto p = preferences.find(preference);
    if (!p) return INVALID_VALUE_;
    switch (attribute) { // cublasLtMatmulPreferenceAttributes_t
        case 0: return put(p->search, buffer, bytes);
        case 1: return put(p->workspace, buffer, bytes);
        case 3: return put(p->reductions, buffer, bytes);
        case 5: case 6: case 7: case 8: return put(p->alignment[attribute - 5], buffer, bytes);
        case 9: return put(p->waves, buffer, bytes);
        case 12: return put(p->implementations, buffer, bytes);
        default: return problem(NOT_SUPPORTED_, "preference attribute " + std::to_string(attribute));
    }
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference, int requested,
                                          Heuristic* results, int* returned) {
    ENTER_LT(cublasLtMatmulAlgoGetHeuristic, CONTEXT, << " requested=" << requested);
    *returned = 0;
    Problem p;
    auto want = preferences.find(preference);
    if (!handles.find(handle) || !want || requested <= 0 || !take(p, desc, a, b, c, d)) return INVALID_VALUE_;
    if (thread_captures()) return problem(INTERNAL_ERROR, "a heuristic is asked while a stream records: cuBLASLt of CUDA 13.3 refuses that");
    if (int refused = check(p)) return refused;
    // One that needs the workspace of the settings, if there is enough, and two that need none; all without split-K.
    for (uint32_t id = 0; id < 3 && *returned < requested; id++) {
        const size_t workspace = id == 0 ? size_t(settings.cublaslt_workspace) : 0;
        if (workspace > want->workspace) continue;
        Heuristic& h = results[(*returned)++];
        std::memset(&h, 0, sizeof h);
        h.algo.magic = MAGIC;
        h.algo.id = 60 + id;
        h.algo.tile = 20; // 128x128
        h.algo.splits = 1;
        h.algo.workspace = uint32_t((workspace + 1023) / 1024);
        for (int i = 0; i < 4; i++) h.algo.alignment[i] = uint16_t(want->alignment[i]);
        h.algo.alignment[4] = alignment_of(p.d.bias);
        h.workspace = workspace;
        h.waves = 1;
    }
    return *returned > 0 ? SUCCESS : NOT_SUPPORTED_;
}
EXPORT int cublasLtMatmulAlgoCheck(void* handle, void* desc, void* a, void* b, void* c, void* d, const Algo* algo, Heuristic* result) {
    ENTER_LT(cublasLtMatmulAlgoCheck, CONTEXT, );
    Problem p;
    if (!handles.find(handle) || !take(p, desc, a, b, c, d) || algo == nullptr || algo->magic != MAGIC) return INVALID_VALUE_;
    if (int refused = check(p)) return refused;
    std::memset(result, 0, sizeof *result);
    result->algo = *algo;
    result->workspace = size_t(algo->workspace) * 1024;
    result->waves = 1;
    return SUCCESS;
}
EXPORT int cublasLtMatmulAlgoConfigGetAttribute(const Algo* algo, int attribute, void* buffer, size_t bytes, size_t* written) {
    if (algo == nullptr || algo->magic != MAGIC) return INVALID_VALUE_;
    switch (attribute) { // cublasLtMatmulAlgoConfigAttributes_t
        case 0: return get(algo->id, buffer, bytes, written);
        case 1: return get(algo->tile, buffer, bytes, written);
        case 2: return get(algo->splits, buffer, bytes, written);
        case 3: return get(algo->reduction, buffer, bytes, written);
        case 4: return get(algo->swizzling, buffer, bytes, written);
        case 5: return get(algo->custom, buffer, bytes, written);
        case 6: return get(algo->stages, buffer, bytes, written);
        case 7: return get(algo->inner, buffer, bytes, written);
        case 8: return get(algo->cluster, buffer, bytes, written);
        default: return INVALID_VALUE_;
    }
}
EXPORT int cublasLtMatmulAlgoConfigSetAttribute(Algo* algo, int attribute, const void* buffer, size_t bytes) {
    if (algo == nullptr || algo->magic != MAGIC) return INVALID_VALUE_;
    switch (attribute) {
        case 1: return put(algo->tile, buffer, bytes);
        case 2: return put(algo->splits, buffer, bytes);
        case 3: return put(algo->reduction, buffer, bytes);
        case 4: return put(algo->swizzling, buffer, bytes);
        case 5: return put(algo->custom, buffer, bytes);
        case 6: return put(algo->stages, buffer, bytes);
        case 7: return put(algo->inner, buffer, bytes);
        case 8: return put(algo->cluster, buffer, bytes);
        default: return INVALID_VALUE_; // the id is read-only
    }
}
EXPORT int cublasLtMatmulAlgoInit(void* handle, int compute, int scale, int a, int b, int c, int d, int id, Algo* algo) {
    ENTER_LT(cublasLtMatmulAlgoInit, CONTEXT, << " compute=" << compute << " scale=" << scale << " types=" << a << "," << b << "," << c << "," << d << " id=" << id);
    if (!handles.find(handle) || id < 60 || id > 62) return INVALID_VALUE_;
    std::memset(algo, 0, sizeof *algo);
    algo->magic = MAGIC, algo->id = uint32_t(id), algo->tile = 20, algo->splits = 1;
    algo->workspace = id == 60 ? uint32_t((settings.cublaslt_workspace + 1023) / 1024) : 0;
    return SUCCESS;
}

EXPORT int cublasLtMatmul(void* handle, void* desc, const void* alpha, const void* a, void* a_desc, const void* b, void* b_desc,
                          const void* beta, const void* c, void* c_desc, void* d, void* d_desc, const Algo* algo, void* workspace,
                          size_t workspace_bytes, void* stream) {
    Problem p;
    ENTER_LT(cublasLtMatmul, CONTEXT, << (take(p, desc, a_desc, b_desc, c_desc, d_desc) && check(p) == SUCCESS
                                               ? " m=" + std::to_string(p.m) + " n=" + std::to_string(p.n) + " k=" + std::to_string(p.k) +
                                                     " batch=" + std::to_string(p.out.batch)
                                               : std::string(" of no valid problem"))
                                      << " A=" << place(uint64_t(a)) << " B=" << place(uint64_t(b)) << " C=" << place(uint64_t(c))
                                      << " D=" << place(uint64_t(d)));
    if (!handles.find(handle) || !take(p, desc, a_desc, b_desc, c_desc, d_desc)) return INVALID_VALUE_;
    if (int refused = check(p)) return refused;
    if (alpha == nullptr || beta == nullptr || (algo != nullptr && algo->magic != MAGIC)) return INVALID_VALUE_;
    if (p.d.epilogue == EPILOGUE_BIAS && p.d.bias == nullptr) return problem(INVALID_VALUE_, "the epilogue adds a bias, and there is none");
    if (algo != nullptr && size_t(algo->workspace) * 1024 > workspace_bytes)
        return problem(INVALID_VALUE_, "the algorithm needs " + std::to_string(algo->workspace) + " KiB of workspace");
    const void* addresses[] = {a, b, c, d, p.d.epilogue == EPILOGUE_BIAS ? p.d.bias : nullptr};
    for (int i = 0; algo != nullptr && i < 5; i++)
        if (algo->alignment[i] > 1 && uint64_t(addresses[i]) % algo->alignment[i] != 0) // a GPU faults, or not, by the kernel
            return problem(INVALID_VALUE_, std::string("the algorithm was chosen for addresses of ") + "ABCD+"[i] + " that are multiples of " +
                                               std::to_string(algo->alignment[i]));
    if (workspace_bytes > 0 && uint64_t(workspace) % 16 != 0) return problem(INVALID_VALUE_, "the workspace is not aligned to 16 bytes");
    auto s = stream_of(stream);
    if (!s) return INVALID_VALUE_;
    const float alpha_value = *static_cast<const float*>(alpha), beta_value = *static_cast<const float*>(beta);
    auto w = std::make_shared<Work>();
    w->type = KERNEL_NODE;
    w->run = [=] {
        return run(p, alpha_value, static_cast<const char*>(a), static_cast<const char*>(b), beta_value, static_cast<const char*>(c),
                   static_cast<char*>(d));
    };
    return status_of(submit(s, w));
}

// ---- cublas_api.h of CUDA 12: what JCublas calls, by way of libcublas.so.12 beside this library ----------------------------------
namespace {
struct Blas {
    void* stream = nullptr;
    void* workspace = nullptr; // null: cuBLAS's own
};
Table<Blas> blases{0xb5};
} // namespace

EXPORT int cublasCreate_v2(void** handle) {
    ENTER_LT(cublasCreate_v2, CONTEXT, );
    if (handle == nullptr) return INVALID_VALUE_;
    *handle = blases.add(std::make_shared<Blas>());
    return SUCCESS;
}
EXPORT int cublasDestroy_v2(void* handle) {
    ENTER_LT(cublasDestroy_v2, CONTEXT, );
    return blases.remove(handle) ? SUCCESS : NOT_INITIALIZED_;
}
EXPORT int cublasSetStream_v2(void* handle, void* stream) {
    ENTER_LT(cublasSetStream_v2, CONTEXT, );
    auto h = blases.find(handle);
    if (!h) return NOT_INITIALIZED_;
    if (!stream_of(stream)) return INVALID_VALUE_;
    h->stream = stream;
    h->workspace = nullptr; // as cuBLAS does (its documentation, "cublasSetStream")
    return SUCCESS;
}
EXPORT int cublasSetWorkspace_v2(void* handle, void* workspace, size_t bytes) {
    ENTER_LT(cublasSetWorkspace_v2, CONTEXT, << " workspace=" << place(uint64_t(workspace)) << " bytes=" << bytes);
    auto h = blases.find(handle);
    if (!h) return NOT_INITIALIZED_;
    std::string why;
    if (uint64_t(workspace) % 256 != 0) return problem(INVALID_VALUE_, "the workspace is not aligned to 256 bytes");
    if (!device_range(uint64_t(workspace), bytes, &why)) return problem(INVALID_VALUE_, "workspace: " + why);
    h->workspace = workspace;
    return SUCCESS;
}
EXPORT int cublasSetMathMode(void* handle, int mode) {
    ENTER_LT(cublasSetMathMode, CONTEXT, << " mode=" << mode);
    if (!blases.find(handle)) return NOT_INITIALIZED_;
    return (mode & ~16) >= 0 && (mode & ~16) <= 3 ? SUCCESS : INVALID_VALUE_; // cublasMath_t
}
EXPORT int cublasGemmEx(void* handle, int transposed_a, int transposed_b, int m, int n, int k, const float* alpha, const void* a, int a_type,
                        int lda, const void* b, int b_type, int ldb, const float* beta, void* c, int c_type, int ldc, int compute, int) {
    ENTER_LT(cublasGemmEx, CONTEXT, << " m=" << m << " n=" << n << " k=" << k << " A=" << place(uint64_t(a)) << " B=" << place(uint64_t(b))
                                    << " C=" << place(uint64_t(c)));
    auto h = blases.find(handle);
    if (!h) return NOT_INITIALIZED_;
    if (alpha == nullptr || beta == nullptr || m < 0 || n < 0 || k < 0 || transposed_a < 0 || transposed_a > 1 || transposed_b < 0 || transposed_b > 1)
        return INVALID_VALUE_;
    if (h->workspace == nullptr) return problem(NOT_SUPPORTED_, "a workspace of cuBLAS's own is not simulated; setting a stream brings it back");
    Problem p{};
    p.d.compute = compute, p.d.scale = F32, p.d.transposed_a = transposed_a, p.d.transposed_b = transposed_b;
    auto matrix = [](int type, int rows, int columns, int ld) {
        Layout l{};
        l.type = unsigned(type), l.rows = uint64_t(rows), l.columns = uint64_t(columns), l.ld = ld, l.batch = 1;
        return l;
    };
    p.a = transposed_a ? matrix(a_type, k, m, lda) : matrix(a_type, m, k, lda);
    p.b = transposed_b ? matrix(b_type, n, k, ldb) : matrix(b_type, k, n, ldb);
    p.c = p.out = matrix(c_type, m, n, ldc);
    if (int refused = check(p)) return refused;
    auto s = stream_of(h->stream);
    if (!s) return INVALID_VALUE_;
    auto w = std::make_shared<Work>();
    w->type = KERNEL_NODE;
    w->run = [p, a, b, c, alpha_value = *alpha, beta_value = *beta] {
        return run(p, alpha_value, static_cast<const char*>(a), static_cast<const char*>(b), beta_value, static_cast<const char*>(c),
                   static_cast<char*>(c));
    };
    return status_of(submit(s, w));
}
