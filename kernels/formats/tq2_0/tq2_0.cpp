// Owns: TQ2_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/tq2_0/tq2_0.h"

#include <cstring>

#include "kernels/formats/search_ternary.h"

namespace strata::formats {

void TQ2_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int e = 0; e < block; ++e)
      out[e] = static_cast<float>((blocks[b].q[e / 128 * 32 + e % 32] >> 2 * (e % 128 / 32) & 3) - 1) * d;
  }
}

void TQ2_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    blocks[b].d = search_ternary(x, importance, block, codes);
    if (importance) importance += block;
    std::memset(blocks[b].q, 0, sizeof blocks[b].q);
    for (int e = 0; e < block; ++e)
      blocks[b].q[e / 128 * 32 + e % 32] |= static_cast<std::uint8_t>(codes[e] << 2 * (e % 128 / 32));
  }
}

}  // namespace strata::formats
