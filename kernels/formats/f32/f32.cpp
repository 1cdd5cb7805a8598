// Owns: F32's decode and encode, both copies. Knows no kernels.
#include "kernels/formats/f32/f32.h"

namespace strata::formats {

void F32::decode(const void* row, float* out, std::int64_t k) {
  if (k > 0) std::memcpy(out, row, static_cast<std::size_t>(k) * sizeof(float));
}

void F32::encode(const float* x, const float*, void* row, std::int64_t k) {
  if (k > 0) std::memcpy(row, x, static_cast<std::size_t>(k) * sizeof(float));
}

}  // namespace strata::formats
