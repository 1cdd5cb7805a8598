// Owns: the Q5_1 format: 32 codes of 5 bits under one scale and one offset, w = d * u + m. Knows nothing of kernels or
// files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q5_1 {
  static constexpr TensorType type = TensorType::q5_1;
  static constexpr const char* name = "q5_1";
  static constexpr int block = 32;
  struct Block {
    Half d, m;
    std::uint8_t high[4];  ///< bit i: the fifth bit of element i
    std::uint8_t q[16];  ///< low four bits: element i in the low nibble of byte i, element 16 + i in its high nibble
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q5_1::Block) == 24);
template <>
struct FormatOf<Q5_1::type> {
  using List = TypeList<Q5_1>;
};

}  // namespace strata::formats
