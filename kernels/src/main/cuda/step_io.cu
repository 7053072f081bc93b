// step_io.cu: a step's data comes out of a slot of pinned host memory at its start and goes into a record at its end
//   step_seek     counter = step
//   step_begin    copy = slot (counter mod depth), all of it; learningRate = the slot's, unless null
//   step_load     rows of one micro-batch out of the copy: tokens, targets, domain, weight, docStart; refLoss, unless null
//   step_publish  payload of record (counter mod depth), fence, its sequence number (release): the slot's step + 1; counter + 1
// Shapes     slots and records as SlotLayout.java and RecordLayout.java draw them, one after the other, in host memory that is
//            mapped; everything else is in device memory. tokens, targets, domain, docStart (R) i32; weight, refLoss (R) f32;
//            R = sequences T. Records have an excess where excessSum_K is not null; norm, rate and counters of an evaluation's, whose
//            pointers to them are null, stay as they are.
// Accepts    any depth > 0; a slot is 64-byte aligned and filled before the step is launched. No parameter names the step: the
//            same launches, and so one graph, serve all of them.
// Launch     step_begin: block THREADS, a grid of about 1 MB in flight, far above a link's bandwidth times its delay;
//            step_load: block THREADS, grid ceil(R / THREADS); step_publish: one block of THREADS; step_seek: one warp
// Traffic    step_begin: the slot once over the link (4.2 MB for 524,288 tokens: 76 us at 55 GB/s, of a step of 0.8 s) and once
//            into DRAM; step_load: 32 R bytes, 40 R with refLoss; step_publish: 64 + 16 K bytes over the link, 64 + 24 K with excess
// Exactness  copies; bitwise repeatable
// Reference  HostStepIo
#include "common.cuh"

namespace step_io {
constexpr int THREADS = 256;
constexpr int SLOT_VECTORS = 4; // loads in flight a thread: each takes a microsecond or two over the link

// Offsets in a slot and a record, in words of 8 bytes; SlotLayout and RecordLayout.
constexpr int SLOT_STEP = 0;
constexpr int SEQUENCE = 0, STEP = 1, NORM_AND_RATE = 2, COUNTERS = 3, FLAGS = 5, LOSS_SUM = 8;
} // namespace step_io

extern "C" __global__ void step_seek(int64_t* counter, int64_t step) {
    if (threadIdx.x == 0) *counter = step;
}
KERNEL(step_seek)

extern "C" __global__ void __launch_bounds__(step_io::THREADS) step_begin(
    uint4* copy, float* learningRate, const uint4* slots, const int64_t* counter, int64_t slotVectors, int32_t depth) {
    using namespace step_io;
    const uint4* slot = slots + *counter % depth * slotVectors;
    const int64_t stride = int64_t(gridDim.x) * THREADS * SLOT_VECTORS;
    for (int64_t first = int64_t(blockIdx.x) * THREADS * SLOT_VECTORS + threadIdx.x; first < slotVectors; first += stride) {
        uint4 x[SLOT_VECTORS];
        for (int u = 0; u < SLOT_VECTORS; u++)
            if (first + u * THREADS < slotVectors) x[u] = slot[first + u * THREADS];
        for (int u = 0; u < SLOT_VECTORS; u++)
            if (first + u * THREADS < slotVectors) copy[first + u * THREADS] = x[u];
        if (first == 0 && learningRate != nullptr) *learningRate = __uint_as_float(x[0].z); // bytes 8 to 11 of the slot
    }
}
KERNEL(step_begin)

// tokens, domain, weight, docStart and refLoss are the copy's arrays, at the micro-batch's first sequence.
extern "C" __global__ void __launch_bounds__(step_io::THREADS) step_load(
    int32_t* tokens_R,
    int32_t* targets_R,
    int32_t* domain_R,
    float* weight_R,
    int32_t* docStart_R,
    float* refLoss_R,
    const int32_t* tokens,
    const int32_t* domain,
    const float* weight,
    const int32_t* docStart,
    const float* refLoss,
    int64_t rows,
    int32_t T) {
    const int64_t r = int64_t(blockIdx.x) * step_io::THREADS + threadIdx.x;
    if (r >= rows) return;
    const int64_t b = r / T; // a sequence has one token more than rows
    tokens_R[r] = tokens[r + b];
    targets_R[r] = tokens[r + b + 1];
    domain_R[r] = domain[b];
    weight_R[r] = weight[b];
    docStart_R[r] = docStart[r];
    if (refLoss_R != nullptr) refLoss_R[r] = refLoss[r];
}
KERNEL(step_load)

extern "C" __global__ void __launch_bounds__(step_io::THREADS) step_publish(
    int64_t* records,
    int64_t* counter,
    const int64_t* slotCopy,
    const int64_t* lossSum_K,
    const int64_t* tokenCount_K,
    const int64_t* flags_2,
    const int64_t* excessSum_K,
    const float* gradNorm,
    const float* learningRate,
    const int64_t* counters_2,
    int64_t recordWords,
    int32_t K,
    int32_t depth) {
    using namespace step_io;
    const int64_t step = slotCopy[SLOT_STEP], count = *counter;
    int64_t* record = records + count % depth * recordWords;
    const int i = threadIdx.x;
    if (i == 0) {
        record[STEP] = step;
        if (gradNorm != nullptr)
            record[NORM_AND_RATE] =
                int64_t(uint64_t(__float_as_uint(*gradNorm)) | uint64_t(__float_as_uint(*learningRate)) << 32);
    }
    if (i < 2) {
        if (counters_2 != nullptr) record[COUNTERS + i] = counters_2[i];
        record[FLAGS + i] = flags_2[i];
    }
    for (int k = i; k < K; k += THREADS) {
        record[LOSS_SUM + k] = lossSum_K[k];
        record[LOSS_SUM + K + k] = tokenCount_K[k];
        if (excessSum_K != nullptr) record[LOSS_SUM + 2 * K + k] = excessSum_K[k];
    }
    __threadfence_system(); // each thread's part of the payload, before the block's barrier and so before the number
    __syncthreads();
    if (i != 0) return;
    store_release_system(record + SEQUENCE, step + 1);
    *counter = count + 1;
}
KERNEL(step_publish)
