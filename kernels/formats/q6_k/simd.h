// Owns: Q6_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q6_k/q6_k.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q6_K> {
  static constexpr int most = 63;
  using Block = formats::Q6_K::Block;
  static constexpr int zero_point = 32;

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) { return V::scales_of_16(b.scales); }
  static auto mins(const Block& b) { return V::mins_of_16(b.scales); }
  template <int j>
  static auto codes(const Block& b) {  // half j / 2; its quarters 0 and 1 (j even) or 2 and 3 (j odd)
    constexpr int half = j / 2, quarter = j % 2 * 2;
    const auto low = V::template nibble<j % 2>(b.low + 64 * half);
    return V::either(low, V::template fields<4, 2 * quarter, 2 * quarter + 2, 3>(b.high + 32 * half));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
