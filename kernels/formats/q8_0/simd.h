// Owns: Q8_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

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

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
