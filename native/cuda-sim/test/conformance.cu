// conformance.cu: kernels that show whether a binding of the driver brings launches, parameters and memory across.
// Not for speed. The same file compiles for the GPU (nvcc) and for the simulator (build-kernels).
#include <stdint.h>
#ifdef RHEOSTAT_SIM
#include "cuda_sim.h"
#else
#define KERNEL(name)
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

// y[i] += a * x[i], one thread an element; block (32 n), grid ceil(n / block)
extern "C" __global__ void conformance_axpy(float* y, const float* x, float a, int64_t n) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
KERNEL(conformance_axpy)

struct Mixed {
    float first;
    double second;
    int16_t third;
};

// One parameter of each kind, among them one of 2 bytes inside a struct by value; out gets them all as f64.
extern "C" __global__ void conformance_parameters(int32_t i, double* out, float f, int64_t l, Mixed mixed, double d) {
    if (threadIdx.x != 0) return;
    out[0] = i, out[1] = f, out[2] = double(l), out[3] = mixed.first, out[4] = mixed.second, out[5] = mixed.third, out[6] = d;
}
KERNEL(conformance_parameters)

// where[3D index of a block] = its number along each axis, as x + 100 y + 10000 z; thread (0, 1) adds 1,000,000
extern "C" __global__ void conformance_shape(int32_t* where) {
    const int64_t block = (int64_t(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    if (threadIdx.x == 0)
        where[2 * block + threadIdx.y] =
            int32_t(blockIdx.x + 100 * blockIdx.y + 10000 * blockIdx.z + 1000000 * threadIdx.y);
}
KERNEL(conformance_shape)

// out[0] = sum of what the block's threads left in `count` floats of dynamic shared memory, each its own index; one block
extern "C" __global__ void conformance_shared(float* out, int32_t count) {
    DYNAMIC_SHARED(float, values);
    for (int32_t i = int32_t(threadIdx.x); i < count; i += int32_t(blockDim.x)) values[i] = float(i % 7);
    __syncthreads();
    if (threadIdx.x != 0) return;
    float sum = 0;
    for (int32_t i = 0; i < count; i++) sum += values[i];
    *out = sum;
}
KERNEL(conformance_shared)

// A record in mapped memory: the payload first, then the number that says that it is there.
extern "C" __global__ void conformance_publish(int64_t* record, const float* payload, int64_t number) {
    if (threadIdx.x != 0) return;
    record[1] = int64_t(payload[0]);
    __threadfence_system();
#ifdef RHEOSTAT_SIM
    sim_access(record, 8, SIM_WRITE);
    __atomic_store_n(record, number, __ATOMIC_RELEASE);
#else
    *reinterpret_cast<volatile int64_t*>(record) = number;
#endif
}
KERNEL(conformance_publish)
