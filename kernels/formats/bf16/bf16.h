// Owns: the BF16 format: the upper halves of IEEE binary32, one element to a block. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct BF16 {
  static constexpr TensorType type = TensorType::bf16;
  static constexpr const char* name = "bf16";
  static constexpr int block = 1;
  using Block = Bfloat;

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(BF16::Block) == 2);
template <>
struct FormatOf<BF16::type> {
  using List = TypeList<BF16>;
};

}  // namespace strata::formats
