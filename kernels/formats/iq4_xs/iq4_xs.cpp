// Owns: IQ4_XS's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/iq4_xs/iq4_xs.h"

#include <cstring>

#include "kernels/formats/search.h"

namespace strata::formats {

void IQ4_XS::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d);
    for (int e = 0; e < block; ++e) {
      const int s = e / 32, code = in.q[16 * s + e % 16] >> 4 * (e / 16 % 2) & 15;
      const int scale = (in.low_scales[s / 2] >> 4 * (s % 2) & 15) | (in.high_scales >> 2 * s & 3) << 4;
      out[e] = d * static_cast<float>(scale - 32) * static_cast<float>(kNonlinear[code]);
    }
  }
}

void IQ4_XS::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    std::int8_t scales[8];
    Block& out = blocks[b];
    out.d = search_grouped_nonlinear(x, importance, scales, codes);
    if (importance) importance += block;
    unsigned high = 0, low = 0;
    for (int s = 0; s < 8; ++s) {
      const auto scale = static_cast<unsigned>(scales[s] + 32);
      low |= (scale & 15) << 4 * s;
      high |= scale >> 4 << 2 * s;
    }
    out.high_scales = static_cast<std::uint16_t>(high);
    std::memcpy(out.low_scales, &low, sizeof out.low_scales);
    for (int i = 0; i < 128; ++i) {
      const int e = i / 16 * 32 + i % 16;
      out.q[i] = static_cast<std::uint8_t>(codes[e] | codes[e + 16] << 4);
    }
  }
}

}  // namespace strata::formats
