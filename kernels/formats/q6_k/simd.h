// Owns: Q6_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/lanes.h"
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

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  /// Scales, then low bits with the high bits that belong to them.
  static constexpr int place(int w) {
    if (w >= 48) return w - 48;
    return w < 32 ? 4 + 24 * (w / 16) + formats::beside_high(false, w % 16)
                  : 4 + 24 * (w / 8 - 4) + formats::beside_high(true, w % 8);
  }
  template <class Rows>
  static auto scale_words(const Rows& b) {
    constexpr int at = offsetof(Block, scales);
    return formats::four_words(b.word(at), b.word(at + 4), b.word(at + 8), b.word(at + 12));
  }
  /// Word i of codes<j>.
  template <int j, int i, class Rows>
  static auto word(const Rows& b) {
    constexpr int half = j / 2, quarter = j % 2 * 2 + i / 8;
    constexpr int at = 64 * half + 32 * (quarter % 2) + 4 * (i % 8);
    const auto low = formats::moved<4 * (quarter / 2), 0, 15>(b.word(offsetof(Block, low) + at));
    return low | formats::moved<2 * quarter, 4, 3>(b.word(offsetof(Block, high) + 32 * half + 4 * (i % 8)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
