// Owns: MXFP4's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/mxfp4/mxfp4.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::MXFP4> : Blocks32 {
  using Block = formats::MXFP4::Block;

  static constexpr Code code = Code::centred;
  static constexpr int most = 24;
  static constexpr int zero_point = 12;
  template <int N, int>
  static auto codes(const Block* b) {
    return V::lookup(V::template nibbles_of_32<N>(b->q, sizeof(Block)), formats::kTwiceE2M1Above12);
  }
  static formats::HalvedE8M0 scale(const Block& b) { return {b.e}; }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
