// Owns: the Q5_K format: 256 codes of 5 bits in 8 sub-blocks of 32, w = d * scale[s] * u - dmin * min[s], with 6-bit
// scales and minima. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q5_K {
  static constexpr TensorType type = TensorType::q5_k;
  static constexpr const char* name = "q5_k";
  static constexpr int block = 256;
  struct Block {
    Half d, dmin;
    std::uint8_t scales[12];  ///< see packed_scales.h
    std::uint8_t high[32];  ///< bit s of byte i: the fifth bit of element i of sub-block s
    std::uint8_t q[128];  ///< sub-blocks 2p and 2p + 1 in the low and high nibbles of bytes 32p .. 32p + 31
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q5_K::Block) == 176);
template <>
struct FormatOf<Q5_K::type> {
  using List = TypeList<Q5_K>;
};

}  // namespace strata::formats
