// Owns: Q2_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q2_k/q2_k.h"
#include "kernels/formats/bits.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q2_K> {
  static constexpr int most = 3;
  using Block = formats::Q2_K::Block;

  static constexpr std::uint64_t nibbles = 0x0f0f0f0f0f0f0f0fu;
  static formats::Half d(const Block& b) { return b.d; }
  static formats::Half dmin(const Block& b) { return b.dmin; }
  static auto scales(const Block& b) {
    return V::scales_of_16(formats::load64(b.scales) & nibbles, formats::load64(b.scales + 8) & nibbles);
  }
  static auto mins(const Block& b) {
    return V::mins_of_16(formats::load64(b.scales) >> 4 & nibbles, formats::load64(b.scales + 8) >> 4 & nibbles);
  }
  template <int j>
  static auto codes(const Block& b) {  // half j / 2; its quarters 0 and 1 (j even) or 2 and 3 (j odd)
    constexpr int at = j % 2 * 4;
    return V::template fields<0, at, at + 2, 3>(b.q + j / 2 * 32);
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
