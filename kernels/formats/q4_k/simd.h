// Owns: Q4_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/packed_scales.h"
#include "kernels/formats/q4_k/q4_k.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q4_K> {
  static constexpr int most = 15;
  using Block = formats::Q4_K::Block;
  static constexpr bool scales_by_32 = true;

  static formats::Half d(const Block& b) { return b.d; }
  static formats::Half dmin(const Block& b) { return b.dmin; }
  static auto scales(const Block& b) { return V::scales_of_32(formats::joined(formats::unpack_scales(b.scales).scale)); }
  static auto mins(const Block& b) { return V::mins_of_32(formats::joined(formats::unpack_scales(b.scales).min)); }
  template <int j>
  static auto codes(const Block& b) {
    return V::nibbles(b.q + 32 * j);
  }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
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
    return b.word(offsetof(Block, q) + 32 * j + 4 * (i % 8)) >> 4 * (i / 8) & 0x0f0f0f0fu;
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
