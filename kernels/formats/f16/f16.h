// Owns: the F16 format: IEEE binary16, one element to a block. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct F16 {
  static constexpr TensorType type = TensorType::f16;
  static constexpr const char* name = "f16";
  static constexpr int block = 1;
  using Block = Half;

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(F16::Block) == 2);
template <>
struct FormatOf<F16::type> {
  using List = TypeList<F16>;
};

}  // namespace strata::formats
