// Owns: the IQ3_XXS format: 256 magnitudes in 64 grid vectors of 4 with a sign each, in 8 sub-blocks
// of 32, w = d / 4 * (2 scale + 1) * +-m. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ3_XXS {
  static constexpr TensorType type = TensorType::iq3_xxs;
  static constexpr const char* name = "iq3_xxs";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint8_t place[64];  ///< of vector v in the grid
    /// For each sub-block a little-endian word: four 7-bit sign fields (the signs of 8 elements; see with_parity for
    /// the eighth) under a 4-bit scale.
    std::uint8_t signs[32];
  };
  /// Magnitudes 4, 12 ... 52 and 62.
  static const GridOf4<256> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ3_XXS::Block) == 98);
template <>
struct FormatOf<IQ3_XXS::type> {
  using List = TypeList<IQ3_XXS>;
};

}  // namespace strata::formats
