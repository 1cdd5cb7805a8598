// Owns: the Q4_0 format: 32 codes of 4 bits under one scale, w = d * (u - 8). Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q4_0 {
  static constexpr TensorType type = TensorType::q4_0;
  static constexpr const char* name = "q4_0";
  static constexpr int block = 32;
  struct Block {
    Half d;
    std::uint8_t q[16];  ///< element i in the low nibble of byte i, element 16 + i in its high nibble
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q4_0::Block) == 18);
template <>
struct FormatOf<Q4_0::type> {
  using List = TypeList<Q4_0>;
};

}  // namespace strata::formats
