// Owns: Q4_K's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q4_k/q4_k.h"

#include "kernels/formats/packed_scales.h"
#include "kernels/formats/search.h"

namespace strata::formats {

void Q4_K::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b) {
    const Block& in = blocks[b];
    const float d = to_float(in.d), dmin = to_float(in.dmin);
    for (int s = 0; s < 8; ++s, out += 32) {
      int scale, min;
      unpack_scale(in.scales, s, scale, min);
      const float step = d * static_cast<float>(scale), offset = dmin * static_cast<float>(min);
      for (int i = 0; i < 32; ++i) {
        const int code = in.q[32 * (s / 2) + i] >> 4 * (s % 2) & 15;
        out[i] = step * static_cast<float>(code) - offset;
      }
    }
  }
}

void Q4_K::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    const GroupedLineBlock found = search_grouped_lines(x, importance, {8, 15, 63}, codes);
    if (importance) importance += block;
    Block& out = blocks[b];
    out.d = found.d;
    out.dmin = found.dmin;
    pack_scales(found.scale, found.min, out.scales);
    for (int i = 0; i < 128; ++i) {
      const int at = 64 * (i / 32) + i % 32;
      out.q[i] = static_cast<std::uint8_t>(codes[at] | codes[at + 32] << 4);
    }
  }
}

}  // namespace strata::formats
