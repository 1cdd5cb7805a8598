// Owns: the IQ2_S format: 256 magnitudes in 32 grid vectors of 8 with a sign each, in 16 groups
// of 16, w = d / 8 * (2 scale + 1) * +-m. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ2_S {
  static constexpr TensorType type = TensorType::iq2_s;
  static constexpr const char* name = "iq2_s";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint8_t place[32];  ///< of vector v in the grid, the low 8 bits
    std::uint8_t signs[32];  ///< bit i of byte v: of element i of vector v
    std::uint8_t high[8];    ///< bits 8 and 9 of the place: bits 2(v % 4) and 2(v % 4) + 1 of byte v / 4
    std::uint8_t scales[8];  ///< nibbles, the low one first, one for 16 elements
  };
  /// Magnitudes 8, 25 and 43.
  static const GridOf8<1024> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ2_S::Block) == 82);
template <>
struct FormatOf<IQ2_S::type> {
  using List = TypeList<IQ2_S>;
};

}  // namespace strata::formats
