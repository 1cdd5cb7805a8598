// Owns: Q4_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q4_0/q4_0.h"

#include <algorithm>
#include <cmath>

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

namespace {
unsigned code(float scaled) {  // scaled to [-8, 8]; the far end is cut at 7
  const float shifted = scaled + 8.5f;
  return shifted >= 0 ? static_cast<unsigned>(std::min(shifted, 15.0f)) : 0;
}
}  // namespace

void Q4_0::encode(const float* x, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    float extreme = 0;  // the value of largest magnitude gets code 0, that is -8
    for (int i = 0; i < block; ++i)
      if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    const float d = extreme / -8.0f, inverse = std::fabs(d) > 0x1p-126f ? 1.0f / d : 0.0f;
    blocks[b].d = to_half(d);
    for (int i = 0; i < 16; ++i)
      blocks[b].q[i] = static_cast<std::uint8_t>(code(x[i] * inverse) | code(x[16 + i] * inverse) << 4);
  }
}

}  // namespace strata::formats
