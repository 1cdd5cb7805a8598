// Owns: IQ1_M's decode (its specification). Knows no kernels.
#include "kernels/formats/iq1_m/iq1_m.h"

namespace strata::formats {

void IQ1_M::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const std::uint64_t scales = load64(in.scales);
    const float d = to_float(iq1_m_d(scales)) * 0.125f;
    for (int e = 0; e < block; ++e) {
      const int v = e / 8, g = e / 16, high = in.high[v / 2] >> 4 * (v % 2), place = in.place[v] | (high & 7) << 8;
      const int scale = static_cast<int>(scales >> (16 * (g / 4) + 3 * (g % 4)) & 7) * 2 + 1;
      const int eighths = static_cast<int>(IQ1_S::grid.vector[place] >> 8 * (e % 8) & 255) - 8;
      out[e] = d * static_cast<float>(scale) * static_cast<float>(high & 8 ? eighths - 1 : eighths + 1);
    }
  }
}

}  // namespace strata::formats
