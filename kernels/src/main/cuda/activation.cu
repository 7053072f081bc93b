// activation.cu: SwiGLU h = silu(gate) up, silu(x) = x s(x), s(x) = 1 / (1 + exp(-x)); GELU, tanh form,
//            h = 0.5 x (1 + tanh(z)) = x s(2 z), z = sqrt(2/pi) (x + 0.044715 x^3)
// Shapes     h, dh (R,F), gateUp (R,2F): gate (F) then up (F) in a row; GELU's x, dx, h, dh (N); all bf16 row-major
// Accepts    R > 0, F and N multiples of 8, R F / 8 < 2^31; backward may write over its input. Tensors start on 16 bytes.
//            The launcher checks, the kernel trusts.
// Launch     a thread for each 8 elements of h, blocks of 256
// Traffic    SwiGLU forward 6 R F, backward 10 R F bytes; GELU forward 4 N, backward 6 N
// FLOPs      about 10 (forward) and 20 (backward) for an element: bandwidth bound. H200 at 4.2 TB/s, predicted, R F of ado-124m
//            (134 M) and ado-1.3b (89.5 M): SwiGLU forward 192 and 128 us, backward 320 and 213 us
// Exactness  fp32; exp by ex2.approx, 2 units in the last place of f32; no sums: bitwise repeatable
// Reference  Shazeer 2020, arXiv:2002.05202; Hendrycks and Gimpel 2016, arXiv:1606.08415; definition in PlainActivation
#include "common.cuh"

namespace activation {
constexpr float SQRT_2_OVER_PI = 0.7978845608028654f, CUBIC = 0.044715f;

// exp overflows to infinity where x < -88, and 1 / infinity is the 0 that is meant.
DEVICE float sigmoid(float x) { return 1 / (1 + fast_exp(-x)); }
DEVICE uint32_t thread_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
// Element of gateUp where the gates of octet i of h begin; their ups are F further on.
DEVICE int64_t gate_at(uint32_t i, uint32_t octets_a_row) {
    const uint32_t row = i / octets_a_row;
    return 8 * (int64_t(row) * octets_a_row + i); // row * 2 F + 8 (i % octets_a_row)
}
} // namespace activation

extern "C" __global__ void activation_swiglu_forward(bf16* h, const bf16* gateUp, uint32_t octets, uint32_t octets_a_row) {
    const uint32_t i = activation::thread_index();
    if (i >= octets) return;
    const int64_t at = activation::gate_at(i, octets_a_row);
    float gate[8], up[8];
    load8(gate, gateUp + at);
    load8(up, gateUp + at + 8 * int64_t(octets_a_row));
    for (int k = 0; k < 8; k++) up[k] *= gate[k] * activation::sigmoid(gate[k]);
    store8(h + 8 * int64_t(i), up);
}
KERNEL(activation_swiglu_forward)

// silu'(x) = s(x) (1 + x (1 - s(x))).
extern "C" __global__ void activation_swiglu_backward(
    bf16* dGateUp, const bf16* dh, const bf16* gateUp, uint32_t octets, uint32_t octets_a_row) {
    const uint32_t i = activation::thread_index();
    if (i >= octets) return;
    const int64_t at = activation::gate_at(i, octets_a_row), F = 8 * int64_t(octets_a_row);
    float d[8], gate[8], up[8];
    load8(d, dh + 8 * int64_t(i));
    load8(gate, gateUp + at);
    load8(up, gateUp + at + F);
    for (int k = 0; k < 8; k++) {
        const float x = gate[k], s = activation::sigmoid(x);
        gate[k] = d[k] * up[k] * s * (1 + x * (1 - s));
        up[k] = d[k] * x * s;
    }
    store8(dGateUp + at, gate);
    store8(dGateUp + at + F, up);
}
KERNEL(activation_swiglu_backward)

extern "C" __global__ void activation_gelu_forward(bf16* h, const bf16* x, uint32_t octets) {
    const uint32_t i = activation::thread_index();
    if (i >= octets) return;
    float value[8];
    load8(value, x + 8 * int64_t(i));
    for (int k = 0; k < 8; k++) {
        const float v = value[k], z = activation::SQRT_2_OVER_PI * (v + activation::CUBIC * v * v * v);
        value[k] = v * activation::sigmoid(2 * z);
    }
    store8(h + 8 * int64_t(i), value);
}
KERNEL(activation_gelu_forward)

// With s = s(2 z): dh/dx = s + x s (1 - s) 2 dz/dx.
extern "C" __global__ void activation_gelu_backward(bf16* dx, const bf16* dh, const bf16* x, uint32_t octets) {
    const uint32_t i = activation::thread_index();
    if (i >= octets) return;
    float d[8], value[8];
    load8(d, dh + 8 * int64_t(i));
    load8(value, x + 8 * int64_t(i));
    for (int k = 0; k < 8; k++) {
        const float v = value[k], square = activation::CUBIC * v * v;
        const float s = activation::sigmoid(2 * activation::SQRT_2_OVER_PI * (v + square * v));
        d[k] *= s + v * s * (1 - s) * 2 * activation::SQRT_2_OVER_PI * (1 + 3 * square);
    }
    store8(dx + 8 * int64_t(i), d);
}
KERNEL(activation_gelu_backward)
