// Owns: the F32 format: IEEE binary32 as it is. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct F32 {
  static constexpr TensorType type = TensorType::f32;
  static constexpr const char* name = "f32";
  static constexpr int block = 1;
  using Block = float;

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(F32::Block) == 4);
template <>
struct FormatOf<F32::type> {
  using List = TypeList<F32>;
};

}  // namespace strata::formats
