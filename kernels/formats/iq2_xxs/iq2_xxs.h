// Owns: the IQ2_XXS format: 256 magnitudes in 32 grid vectors of 8 with a sign each, in 8 sub-blocks
// of 32, w = d / 8 * (2 scale + 1) * +-m. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ2_XXS {
  static constexpr TensorType type = TensorType::iq2_xxs;
  static constexpr const char* name = "iq2_xxs";
  static constexpr int block = 256;
  struct Block {
    Half d;
    /// A sub-block: four places in the grid, and a little-endian word of four 7-bit sign fields (the signs of a vector;
    /// see with_parity for its eighth) under a 4-bit scale.
    struct {
      std::uint8_t place[4], signs[4];
    } part[8];
  };
  /// Magnitudes 8, 25 and 43.
  static const GridOf8<256> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ2_XXS::Block) == 66);
template <>
struct FormatOf<IQ2_XXS::type> {
  using List = TypeList<IQ2_XXS>;
};

}  // namespace strata::formats
