// Owns: the IQ4_XS format: 256 codes of 4 bits into uneven levels in 8 sub-blocks of 32, w = d * (scale[s] - 32) *
// kNonlinear[u], with 6-bit scales. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ4_XS {
  static constexpr TensorType type = TensorType::iq4_xs;
  static constexpr const char* name = "iq4_xs";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint16_t high_scales;   ///< bits 2s and 2s + 1: the upper two of scale s
    std::uint8_t low_scales[4];  ///< nibble s: its lower four
    std::uint8_t q[128];         ///< of sub-block s: element i in the low nibble of byte 16s + i, 16 + i in its high one
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(IQ4_XS::Block) == 136);
template <>
struct FormatOf<IQ4_XS::type> {
  using List = TypeList<IQ4_XS>;
};

}  // namespace strata::formats
