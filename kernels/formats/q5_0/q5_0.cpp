// Owns: Q5_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q5_0/q5_0.h"

#include <cstring>

#include "kernels/formats/search.h"

namespace strata::formats {

namespace {
int code(const Q5_0::Block& in, int i) {
  return (in.q[i % 16] >> 4 * (i / 16) & 15) | (in.high[i / 8] >> i % 8 & 1) << 4;
}
}  // namespace

void Q5_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < block; ++i) out[i] = static_cast<float>(code(blocks[b], i) - 16) * d;
  }
}

void Q5_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::int8_t codes[block];
    blocks[b].d = search_integer(x, importance, -16, codes);
    if (importance) importance += block;
    std::memset(blocks[b].high, 0, sizeof blocks[b].high);
    std::memset(blocks[b].q, 0, sizeof blocks[b].q);
    for (int i = 0; i < block; ++i) {
      const int u = codes[i] + 16;
      blocks[b].high[i / 8] |= static_cast<std::uint8_t>(u >> 4 << i % 8);
      blocks[b].q[i % 16] |= static_cast<std::uint8_t>((u & 15) << 4 * (i / 16));
    }
  }
}

}  // namespace strata::formats
