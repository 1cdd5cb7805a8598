// Owns: Q3_K's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q3_k/q3_k.h"

#include <cstring>

#include "kernels/formats/search.h"

namespace strata::formats {

void Q3_K::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d);
    for (int e = 0; e < block; ++e) {
      const int g = e / 16, low = in.q[e / 128 * 32 + e % 32] >> 2 * (e % 128 / 32) & 3;
      const int scale = (in.scales[g % 8] >> 4 * (g / 8) & 15) | (in.scales[8 + g % 4] >> 2 * (g / 4) & 3) << 4;
      const int code = low | (in.high[e % 32] >> e / 32 & 1) << 2;
      out[e] = d * static_cast<float>(scale - 32) * static_cast<float>(code - 4);
    }
  }
}

void Q3_K::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::int8_t codes[block], scales[16];
    Block& out = blocks[b];
    out.d = search_grouped_integer(x, importance, -4, -32, scales, codes);
    if (importance) importance += block;
    std::memset(out.high, 0, sizeof out.high);
    std::memset(out.q, 0, sizeof out.q);
    std::memset(out.scales, 0, sizeof out.scales);
    for (int g = 0; g < 16; ++g) {
      const int scale = scales[g] + 32;
      out.scales[g % 8] |= static_cast<std::uint8_t>((scale & 15) << 4 * (g / 8));
      out.scales[8 + g % 4] |= static_cast<std::uint8_t>(scale >> 4 << 2 * (g / 4));
    }
    for (int e = 0; e < block; ++e) {
      const int code = codes[e] + 4;
      out.high[e % 32] |= static_cast<std::uint8_t>(code >> 2 << e / 32);
      out.q[e / 128 * 32 + e % 32] |= static_cast<std::uint8_t>((code & 3) << 2 * (e % 128 / 32));
    }
  }
}

}  // namespace strata::formats
