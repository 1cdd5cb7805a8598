// Owns: BF16's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/bf16/bf16.h"

namespace strata::formats {

void BF16::decode(const void* row, float* out, std::int64_t k) {
  const auto* in = static_cast<const Block*>(row);
  for (std::int64_t i = 0; i < k; ++i) out[i] = to_float(in[i]);
}

void BF16::encode(const float* x, const float*, void* row, std::int64_t k) {
  auto* out = static_cast<Block*>(row);
  for (std::int64_t i = 0; i < k; ++i) out[i] = to_bfloat(x[i]);
}

}  // namespace strata::formats
