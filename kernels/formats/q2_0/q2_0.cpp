// Owns: Q2_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q2_0/q2_0.h"

#include <cstring>

#include "kernels/formats/search_ternary.h"

namespace strata::formats {

void Q2_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < block; ++i) out[i] = static_cast<float>((blocks[b].q[i / 4] >> 2 * (i % 4) & 3) - 1) * d;
  }
}

void Q2_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    blocks[b].d = search_ternary(x, importance, block, codes);
    if (importance) importance += block;
    std::memset(blocks[b].q, 0, sizeof blocks[b].q);
    for (int i = 0; i < block; ++i) blocks[b].q[i / 4] |= static_cast<std::uint8_t>(codes[i] << 2 * (i % 4));
  }
}

}  // namespace strata::formats
