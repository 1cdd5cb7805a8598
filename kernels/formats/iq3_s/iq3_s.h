// Owns: the IQ3_S format: 256 magnitudes in 64 grid vectors of 4 with a sign each, in 8 sub-blocks
// of 32, w = d * (2 scale + 1) * +-m. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ3_S {
  static constexpr TensorType type = TensorType::iq3_s;
  static constexpr const char* name = "iq3_s";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint8_t place[64];  ///< of vector v in the grid, the low 8 bits
    std::uint8_t high[8];    ///< bit 8 of the place: bit v % 8 of byte v / 8
    std::uint8_t signs[32];  ///< of element e: bit e % 8 of byte e / 8
    std::uint8_t scales[4];  ///< nibbles, the low one first, one for a sub-block
  };
  /// Magnitudes 1, 3 ... 15.
  static const GridOf4<512> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ3_S::Block) == 110);
template <>
struct FormatOf<IQ3_S::type> {
  using List = TypeList<IQ3_S>;
};

}  // namespace strata::formats
