// Owns: Q2_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q2_0/q2_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q2_0> : Blocks32 {
  using Block = formats::Q2_0::Block;

  static constexpr int parts = 2;
  static constexpr Code code = Code::centred;
  static constexpr int most = 3;
  static constexpr int zero_point = 1;
  template <int N, int P>
  static auto codes(const Block* b) {
    return V::template crumbs_of_4<N>(b->q + 8 * P);
  }
  static formats::Half scale(const Block& b) { return b.d; }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
