// Owns: Q6_K's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q6_k/q6_k.h"

#include "kernels/formats/search.h"

namespace strata::formats {

void Q6_K::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d);
    for (int e = 0; e < block; ++e) {
      const int h = e / 128, p = e % 128 / 32, i = e % 32;
      const int low = in.low[64 * h + 32 * (p % 2) + i] >> 4 * (p / 2) & 15;
      const int code = low | (in.high[32 * h + i] >> 2 * p & 3) << 4;
      out[e] = d * static_cast<float>(in.scales[e / 16]) * static_cast<float>(code - 32);
    }
  }
}

void Q6_K::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::int8_t codes[block];
    Block& out = blocks[b];
    out.d = search_grouped_integer(x, importance, -32, -128, out.scales, codes);
    if (importance) importance += block;
    std::memset(out.low, 0, sizeof out.low);
    std::memset(out.high, 0, sizeof out.high);
    for (int e = 0; e < block; ++e) {
      const int h = e / 128, p = e % 128 / 32, i = e % 32, code = codes[e] + 32;
      out.low[64 * h + 32 * (p % 2) + i] |= static_cast<std::uint8_t>((code & 15) << 4 * (p / 2));
      out.high[32 * h + i] |= static_cast<std::uint8_t>(code >> 4 << 2 * p);
    }
  }
}

}  // namespace strata::formats
