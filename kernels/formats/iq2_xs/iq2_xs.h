// Owns: the IQ2_XS format: 256 magnitudes in 32 grid vectors of 8 with a sign each, in 16 groups
// of 16, w = d / 8 * (2 scale + 1) * +-m. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ2_XS {
  static constexpr TensorType type = TensorType::iq2_xs;
  static constexpr const char* name = "iq2_xs";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint16_t vectors[32];  ///< place in the grid in 9 bits, then 7 sign bits; see with_parity for the eighth
    std::uint8_t scales[8];     ///< nibbles, the low one first, one for 16 elements
  };
  /// Magnitudes 8, 25 and 43.
  static const GridOf8<512> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ2_XS::Block) == 74);
template <>
struct FormatOf<IQ2_XS::type> {
  using List = TypeList<IQ2_XS>;
};

}  // namespace strata::formats
