// Owns: Q2_K's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q2_k/q2_k.h"

#include <cstring>

#include "kernels/formats/search.h"

namespace strata::formats {

void Q2_K::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d), dmin = to_float(in.dmin);
    for (int e = 0; e < block; ++e) {
      const int code = in.q[e / 128 * 32 + e % 32] >> 2 * (e % 128 / 32) & 3, scales = in.scales[e / 16];
      out[e] = d * static_cast<float>(scales & 15) * static_cast<float>(code) - dmin * static_cast<float>(scales >> 4);
    }
  }
}

void Q2_K::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    const GroupedLineBlock found = search_grouped_lines(x, importance, {16, 3, 15}, codes);
    if (importance) importance += block;
    Block& out = blocks[b];
    out.d = found.d;
    out.dmin = found.dmin;
    for (int g = 0; g < 16; ++g) out.scales[g] = static_cast<std::uint8_t>(found.scale[g] | found.min[g] << 4);
    std::memset(out.q, 0, sizeof out.q);
    for (int e = 0; e < block; ++e)
      out.q[e / 128 * 32 + e % 32] |= static_cast<std::uint8_t>(codes[e] << 2 * (e % 128 / 32));
  }
}

}  // namespace strata::formats
