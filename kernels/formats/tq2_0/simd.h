// Owns: TQ2_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/tq2_0/tq2_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::TQ2_0> {
  static constexpr int most = 3;
  using Block = formats::TQ2_0::Block;
  static constexpr bool scales_by_32 = true;

  static constexpr int zero_point = 1;

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block&) { return typename V::NoScales(); }
  static auto mins(const Block&) { return V::mins_of_16(0x0101010101010101u, 0x0101010101010101u); }
  template <int j>
  static auto codes(const Block& b) {  // half j / 2; its quarters 0 and 1 (j even) or 2 and 3 (j odd)
    constexpr int at = j % 2 * 4;
    return V::template fields<0, at, at + 2, 3>(b.q + j / 2 * 32);
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
