// Owns: Q8_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/q8_0/q8_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q8_0> : Blocks32 {
  using Block = formats::Q8_0::Block;

  static constexpr Code code = Code::plain;
  template <int N, int>
  static auto codes(const Block* b) {
    return V::template bytes<N>(b->q, sizeof(Block));
  }
  static formats::Half scale(const Block& b) { return b.d; }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <int i, class Rows>
  static auto word(const Rows& b) {
    return b.word(offsetof(Block, q) + 4 * i);
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
