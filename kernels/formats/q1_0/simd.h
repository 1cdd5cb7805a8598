// Owns: Q1_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q1_0/q1_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q1_0> : Blocks32 {
  using Block = formats::Q1_0::Block;

  static constexpr int parts = 4;
  static constexpr Code code = Code::centred;
  static constexpr int most = 2;
  static constexpr int zero_point = 1;
  template <int N, int P>
  static auto codes(const Block* b) {
    return V::template choose<N, 2, 0>(b->q + 4 * P, 4);
  }
  static formats::Half scale(const Block& b) { return b.d; }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
