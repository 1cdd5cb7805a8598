// Owns: Q4_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q4_0/q4_0.h"

#include "kernels/formats/search.h"

namespace strata::formats {

void Q4_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((blocks[b].q[i] & 15) - 8) * d;
      out[16 + i] = static_cast<float>((blocks[b].q[i] >> 4) - 8) * d;
    }
  }
}

void Q4_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::int8_t codes[block];
    blocks[b].d = search_integer(x, importance, -8, codes);
    if (importance) importance += block;
    for (int i = 0; i < 16; ++i) blocks[b].q[i] = static_cast<std::uint8_t>((codes[i] + 8) | (codes[16 + i] + 8) << 4);
  }
}

}  // namespace strata::formats
