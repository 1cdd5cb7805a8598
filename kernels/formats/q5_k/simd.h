// Owns: Q5_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/lanes.h"
#include "kernels/formats/packed_scales.h"
#include "kernels/formats/q5_k/q5_k.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q5_K> {
  static constexpr int most = 31;
  using Block = formats::Q5_K::Block;
  static constexpr bool scales_by_32 = true;

  static formats::Half d(const Block& b) { return b.d; }
  static formats::Half dmin(const Block& b) { return b.dmin; }
  static auto scales(const Block& b) { return V::scales_of_32(formats::joined(formats::unpack_scales(b.scales).scale)); }
  static auto mins(const Block& b) { return V::mins_of_32(formats::joined(formats::unpack_scales(b.scales).min)); }
  template <int j>
  static auto codes(const Block& b) {
    return V::either(V::nibbles(b.q + 32 * j), V::template fields<4, 2 * j, 2 * j + 1, 1>(b.high));
  }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  /// Scales, then low bits with the high bits that belong to them.
  static constexpr int place(int w) {
    if (w < 4) return w;
    return 4 + (w < 12 ? formats::beside_high(true, w - 4) : formats::beside_high(false, w - 12));
  }
  template <class Rows>
  static auto scale_words(const Rows& b) {
    return formats::unpack_scales(b, offsetof(Block, scales)).scale;
  }
  template <class Rows>
  static auto min_words(const Rows& b) {
    return formats::unpack_scales(b, offsetof(Block, scales)).min;
  }
  /// Word i of codes<j>.
  template <int j, int i, class Rows>
  static auto word(const Rows& b) {
    const auto low = formats::moved<4 * (i / 8), 0, 15>(b.word(offsetof(Block, q) + 32 * j + 4 * (i % 8)));
    return low | formats::moved<2 * j + i / 8, 4, 1>(b.word(offsetof(Block, high) + 4 * (i % 8)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
