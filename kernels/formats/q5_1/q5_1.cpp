// Owns: Q5_1's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q5_1/q5_1.h"

#include <cstring>

#include "kernels/formats/search.h"

namespace strata::formats {

namespace {
int code(const Q5_1::Block& in, int i) {
  return (in.q[i % 16] >> 4 * (i / 16) & 15) | (in.high[i / 8] >> i % 8 & 1) << 4;
}
}  // namespace

void Q5_1::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d), m = to_float(blocks[b].m);
    for (int i = 0; i < block; ++i) out[i] = static_cast<float>(code(blocks[b], i)) * d + m;
  }
}

void Q5_1::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    const LineBlock line = search_line(x, importance, 31, codes);
    if (importance) importance += block;
    blocks[b].d = line.d;
    blocks[b].m = line.m;
    std::memset(blocks[b].high, 0, sizeof blocks[b].high);
    std::memset(blocks[b].q, 0, sizeof blocks[b].q);
    for (int i = 0; i < block; ++i) {
      blocks[b].high[i / 8] |= static_cast<std::uint8_t>(codes[i] >> 4 << i % 8);
      blocks[b].q[i % 16] |= static_cast<std::uint8_t>((codes[i] & 15) << 4 * (i / 16));
    }
  }
}

}  // namespace strata::formats
