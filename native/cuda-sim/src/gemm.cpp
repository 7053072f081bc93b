// gemm.cpp: the product behind cublasLtMatmul, on one core: both operands are packed into f32 panels, and a tile of c of
// TILE_M x TILE_N stays in registers while k runs. 2 m n k FLOPs, 4 (m + n) k bytes of panels.
#include "gemm.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace sim {

float from_bf16(uint16_t bits) {
    const uint32_t wide = uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    return x;
}
uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return x != x ? 0x7fff : uint16_t((bits + (bits >> 16 & 1) + 0x7fff) >> 16);
}

namespace {
constexpr int64_t TILE_M = 16, TILE_N = 6, BLOCK_K = 256, BLOCK_M = 128;
typedef float Lanes __attribute__((vector_size(32), aligned(4), may_alias));

// panels of `tile` rows: out[panel][k][row of panel], zeros past the end
void pack(float* out, const Operand& x, int64_t first, int64_t rows, int64_t tile, int64_t k0, int64_t depth, bool transposed) {
    const int64_t along = transposed ? x.column : x.row, across = transposed ? x.row : x.column;
    for (int64_t p = 0; p < rows; p += tile) {
        const int64_t live = std::min(tile, rows - p);
        float* panel = out + p * depth;
        auto copy = [&](auto* data, auto convert) {
            if (along == 1 || across != 1) {
                for (int64_t k = 0; k < depth; k++) {
                    const auto* from = data + (first + p) * along + (k0 + k) * across;
                    for (int64_t r = 0; r < live; r++) panel[k * tile + r] = convert(from[r * along]);
                }
            } else {
                for (int64_t r = 0; r < live; r++) {
                    const auto* from = data + (first + p + r) * along + k0;
                    for (int64_t k = 0; k < depth; k++) panel[k * tile + r] = convert(from[k]);
                }
            }
        };
        if (x.bf16) copy(static_cast<const uint16_t*>(x.data), [](uint16_t v) { return from_bf16(v); });
        else copy(static_cast<const float*>(x.data), [](float v) { return v; });
        for (int64_t r = live; r < tile; r++)
            for (int64_t k = 0; k < depth; k++) panel[k * tile + r] = 0;
    }
}

// sum[j][i] = sum_k a[k][i] b[k][j]
#define TILE_BODY                                                                       \
    Lanes c0[TILE_N], c1[TILE_N];                                                       \
    for (int j = 0; j < TILE_N; j++) c0[j] = c1[j] = Lanes{};                            \
    for (int64_t k = 0; k < depth; k++, a += TILE_M, b += TILE_N) {                     \
        const Lanes a0 = *reinterpret_cast<const Lanes*>(a);                            \
        const Lanes a1 = *reinterpret_cast<const Lanes*>(a + 8);                        \
        for (int j = 0; j < TILE_N; j++) c0[j] += a0 * b[j], c1[j] += a1 * b[j];         \
    }                                                                                   \
    for (int j = 0; j < TILE_N; j++) {                                                  \
        *reinterpret_cast<Lanes*>(sum + j * TILE_M) = c0[j];                            \
        *reinterpret_cast<Lanes*>(sum + j * TILE_M + 8) = c1[j];                        \
    }
__attribute__((target("avx2,fma"))) void tile_fma(float* sum, const float* a, const float* b, int64_t depth) { TILE_BODY }
void tile_plain(float* sum, const float* a, const float* b, int64_t depth) { TILE_BODY }
} // namespace

void multiply(float* c, int64_t m, int64_t n, int64_t k, const Operand& a, const Operand& b) {
    static const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    auto* tile = fma ? tile_fma : tile_plain;
    std::fill_n(c, m * n, 0.0f);
    const int64_t padded_n = (n + TILE_N - 1) / TILE_N * TILE_N;
    std::vector<float> a_panels(BLOCK_M * BLOCK_K), b_panels(padded_n * std::min(k, BLOCK_K));
    float sum[TILE_M * TILE_N];
    for (int64_t k0 = 0; k0 < k; k0 += BLOCK_K) {
        const int64_t depth = std::min(BLOCK_K, k - k0);
        pack(b_panels.data(), b, 0, n, TILE_N, k0, depth, true);
        for (int64_t i0 = 0; i0 < m; i0 += BLOCK_M) {
            const int64_t rows = std::min(BLOCK_M, m - i0);
            pack(a_panels.data(), a, i0, rows, TILE_M, k0, depth, false);
            for (int64_t j = 0; j < n; j += TILE_N) {
                const int64_t columns = std::min(TILE_N, n - j);
                for (int64_t i = 0; i < rows; i += TILE_M) {
                    tile(sum, a_panels.data() + i * depth, b_panels.data() + j * depth, depth);
                    const int64_t live = std::min(TILE_M, rows - i);
                    for (int64_t jj = 0; jj < columns; jj++)
                        for (int64_t ii = 0; ii < live; ii++) c[i0 + i + ii + (j + jj) * m] += sum[jj * TILE_M + ii];
                }
            }
        }
    }
}

} // namespace sim
