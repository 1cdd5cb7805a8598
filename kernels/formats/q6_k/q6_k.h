// Owns: the Q6_K format: 256 codes of 6 bits in 16 groups of 16, w = d * scale[g] * (u - 32), with signed 8-bit
// scales. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q6_K {
  static constexpr TensorType type = TensorType::q6_k;
  static constexpr const char* name = "q6_k";
  static constexpr int block = 256;
  /// The block is two halves of 128 elements; a half is four quarters of 32. In half h, quarter p, element i:
  struct Block {
    std::uint8_t low[128];   ///< low four bits: nibble p / 2 of byte 64h + 32(p % 2) + i
    std::uint8_t high[64];   ///< upper two bits: bits 2p and 2p + 1 of byte 32h + i
    std::int8_t scales[16];  ///< one for 16 consecutive elements
    Half d;
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q6_K::Block) == 210);
template <>
struct FormatOf<Q6_K::type> {
  using List = TypeList<Q6_K>;
};

}  // namespace strata::formats
