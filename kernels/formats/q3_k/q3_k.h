// Owns: the Q3_K format: 256 codes of 3 bits in 16 groups of 16, w = d * (scale[g] - 32) * (u - 4), with 6-bit scales.
// Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q3_K {
  static constexpr TensorType type = TensorType::q3_k;
  static constexpr const char* name = "q3_k";
  static constexpr int block = 256;
  struct Block {
    std::uint8_t high[32];    ///< bit s of byte i: the third bit of element i of 32-element sub-block s
    std::uint8_t q[64];       ///< low two bits: element i of quarter p of half h in bits 2p and 2p + 1 of byte 32h + i
    std::uint8_t scales[12];  ///< scale g has its low four bits in a nibble of byte g % 8, low nibbles first, and its
                              ///< upper two in bits 2 (g / 4) and the next of byte 8 + g % 4
    Half d;
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q3_K::Block) == 110);
template <>
struct FormatOf<Q3_K::type> {
  using List = TypeList<Q3_K>;
};

}  // namespace strata::formats
