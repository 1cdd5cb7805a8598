// Owns: the IQ1_M format: 256 trits t in 32 grid vectors of 8, in 16 groups of 16,
// w = d * (2 scale + 1) * (t +- 1/8). Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/codebook.h"
#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/iq1_s/iq1_s.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ1_M {
  static constexpr TensorType type = TensorType::iq1_m;
  static constexpr const char* name = "iq1_m";
  static constexpr int block = 256;
  struct Block {
    std::uint8_t place[32];  ///< of vector v in the grid, the low 8 bits
    /// A nibble for each vector, the low one first: bits 8 to 10 of its place, and in its upper bit whether 1/8 is
    /// taken away from its trits or added.
    std::uint8_t high[16];
    /// Little-endian words of 16 bits: the scale of group g is bits 3(g % 4) on of word g / 4, and bits 12 to 15 of the
    /// words are d, the lowest nibble first.
    std::uint8_t scales[8];
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static constexpr auto encode = nullptr;
};
static_assert(sizeof(IQ1_M::Block) == 56);
template <>
struct FormatOf<IQ1_M::type> {
  using List = TypeList<IQ1_M>;
};
/// The block's d, out of its load64(scales).
static inline Half iq1_m_d(std::uint64_t scales) {
  return {static_cast<std::uint16_t>((scales >> 12 & 15) | (scales >> 24 & 0xf0) | (scales >> 36 & 0xf00) | (scales >> 48 & 0xf000))};
}

}  // namespace strata::formats
