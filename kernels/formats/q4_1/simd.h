// Owns: Q4_1's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/lanes.h"
#include "kernels/formats/q4_1/q4_1.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q4_1> : Blocks32 {
  using Block = formats::Q4_1::Block;

  static constexpr Code code = Code::affine;
  static constexpr int most = 15;
  template <int N, int>
  static auto codes(const Block* b) {
    return V::template nibbles_of_32<N>(b->q, sizeof(Block));
  }
  static formats::Half scale(const Block& b) { return b.d; }
  static formats::Half offset(const Block& b) { return b.m; }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <int i, class Rows>
  static auto word(const Rows& b) {
    return formats::nibble_word<i>(b, offsetof(Block, q));
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
