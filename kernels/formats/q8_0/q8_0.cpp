// Owns: Q8_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q8_0/q8_0.h"

#include <algorithm>
#include <cmath>

namespace strata::formats {

void Q8_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < block; ++i) out[b * block + i] = static_cast<float>(blocks[b].q[i]) * d;
  }
}

void Q8_0::encode(const float* x, const float*, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    float largest = 0;
    for (int i = 0; i < block; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float d = largest / 127.0f, inverse = d > 0x1p-126f ? 1.0f / d : 0.0f;
    blocks[b].d = to_half(d);
    for (int i = 0; i < block; ++i) {
      const float q = std::round(x[i] * inverse);
      blocks[b].q[i] = static_cast<std::int8_t>(q >= -127 ? std::min(q, 127.0f) : -127);  // NaN: -127
    }
  }
}

}  // namespace strata::formats
