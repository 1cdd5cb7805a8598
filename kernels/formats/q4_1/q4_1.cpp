// Owns: Q4_1's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q4_1/q4_1.h"

#include "kernels/formats/search.h"

namespace strata::formats {

void Q4_1::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d), m = to_float(blocks[b].m);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(blocks[b].q[i] & 15) * d + m;
      out[16 + i] = static_cast<float>(blocks[b].q[i] >> 4) * d + m;
    }
  }
}

void Q4_1::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    const LineBlock line = search_line(x, importance, 15, codes);
    if (importance) importance += block;
    blocks[b].d = line.d;
    blocks[b].m = line.m;
    for (int i = 0; i < 16; ++i) blocks[b].q[i] = static_cast<std::uint8_t>(codes[i] | codes[16 + i] << 4);
  }
}

}  // namespace strata::formats
