#pragma once
#include <cstdint>

namespace sim {
// One matrix operand: element (i, j) lies at data[i * row + j * column]; f32, or bf16 where so said.
struct Operand {
    const void* data;
    int64_t row, column;
    bool bf16;
};
// sum_k a(i, k) b(k, j) for i < m, j < n into c[i + j * m], in f32, k in ascending order in blocks of 256 whose sums are added
// in ascending order: the same bits for the same shape, whatever runs beside it.
void multiply(float* c, int64_t m, int64_t n, int64_t k, const Operand& a, const Operand& b);
float from_bf16(uint16_t bits);
uint16_t to_bf16(float x); // nearest, ties to even
} // namespace sim
