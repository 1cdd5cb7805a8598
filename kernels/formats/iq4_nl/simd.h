// Owns: IQ4_NL's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/iq4_nl/iq4_nl.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/nonlinear.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ4_NL> : Blocks32 {
  using Block = formats::IQ4_NL::Block;

  static constexpr Code code = Code::plain;
  template <int N, int>
  static auto codes(const Block* b) {
    return V::lookup(V::template nibbles_of_32<N>(b->q, sizeof(Block)), formats::kNonlinear);
  }
  static formats::Half scale(const Block& b) { return b.d; }

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <int i, class Rows>
  static auto word(const Rows& b) {
    return V::look_up(formats::nibble_word<i>(b, offsetof(Block, q)), formats::kNonlinear);
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
