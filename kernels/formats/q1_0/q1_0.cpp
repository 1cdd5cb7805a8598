// Owns: Q1_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/q1_0/q1_0.h"

#include <cmath>
#include <cstring>

namespace strata::formats {

void Q1_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < block; ++i) out[i] = blocks[b].q[i / 8] >> i % 8 & 1 ? d : -d;
  }
}

void Q1_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    // The least squared error is that of the mean magnitude.
    double sum = 0, weights = 0;
    std::memset(blocks[b].q, 0, sizeof blocks[b].q);
    for (int i = 0; i < block; ++i) {
      const double weight = importance ? double(importance[i]) : 1.0;
      sum += weight * std::fabs(double(x[i]));
      weights += weight;
      blocks[b].q[i / 8] |= static_cast<std::uint8_t>((x[i] >= 0 ? 1 : 0) << i % 8);
    }
    blocks[b].d = to_half(weights > 0 ? static_cast<float>(sum / weights) : 0.0f);
    if (importance) importance += block;
  }
}

}  // namespace strata::formats
