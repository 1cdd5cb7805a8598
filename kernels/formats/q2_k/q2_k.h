// Owns: the Q2_K format: 256 codes of 2 bits in 16 groups of 16, w = d * scale[g] * u - dmin * min[g], with 4-bit
// scales and minima. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q2_K {
  static constexpr TensorType type = TensorType::q2_k;
  static constexpr const char* name = "q2_k";
  static constexpr int block = 256;
  struct Block {
    std::uint8_t scales[16];  ///< of group g: the scale in the low nibble, the minimum in the high one
    std::uint8_t q[64];       ///< element i of quarter p of half h: bits 2p and 2p + 1 of byte 32h + i
    Half d, dmin;
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q2_K::Block) == 84);
template <>
struct FormatOf<Q2_K::type> {
  using List = TypeList<Q2_K>;
};

}  // namespace strata::formats
