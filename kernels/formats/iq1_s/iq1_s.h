// Owns: the IQ1_S format: 256 trits t in 32 grid vectors of 8, in 8 sub-blocks of 32,
// w = d * (2 scale + 1) * (t +- 1/8). Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ1_S {
  static constexpr TensorType type = TensorType::iq1_s;
  static constexpr const char* name = "iq1_s";
  static constexpr int block = 256;
  struct Block {
    Half d;
    std::uint8_t place[32];  ///< of vector v in the grid, the low 8 bits
    /// For each sub-block: bits 8 to 10 of its vectors' places in bits 3(v % 4) on, the scale in bits 12 to 14, and in
    /// bit 15 whether 1/8 is taken away from the trits or added.
    std::uint16_t high[8];
  };
  /// The bytes are 8 (t + 1): 0, 8 and 16. IQ1_M has the same grid.
  static const GridOf8<2048> grid;

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ1_S::Block) == 50);
template <>
struct FormatOf<IQ1_S::type> {
  using List = TypeList<IQ1_S>;
};

}  // namespace strata::formats
