// Owns: Q4_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q4_0/q4_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q4_0> {
  using Block = formats::Q4_0::Block;

  template <int N>
  static auto codes(const Block* b) {
    return V::template nibbles_minus_8<N>(b->q, sizeof(Block));
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
