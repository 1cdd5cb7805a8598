// Owns: Q5_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/bits.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/q5_0/q5_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q5_0> : Blocks32 {
  using Block = formats::Q5_0::Block;

  static constexpr Code code = Code::centred;
  static constexpr int most = 31;
  static constexpr int zero_point = 16;
  template <int N, int>
  static auto codes(const Block* b) {
    return V::either(V::template nibbles_of_32<N>(b->q, sizeof(Block)), V::template choose<N, 16, 0>(b->high, sizeof(Block)));
  }
  static formats::Half scale(const Block& b) { return b.d; }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <int i, class Rows>
  static auto word(const Rows& b) {
    const auto low = formats::nibble_word<i>(b, offsetof(Block, q));
    return low | formats::spread_bits<4>(b.word(offsetof(Block, high)) >> 4 * i & 15);
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
