// Owns: NVFP4's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/nvfp4/nvfp4.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::NVFP4> : Blocks32 {
  using Block = formats::NVFP4::Block;

  static constexpr int parts = 2;
  static constexpr bool scales_of_16 = true;
  static constexpr Code code = Code::centred;
  static constexpr int most = 24;
  static constexpr int zero_point = 12;
  template <int N, int P>
  static auto codes(const Block* b) {
    return V::lookup(V::template nibbles_of_16<N>(b->q + 16 * P), formats::kTwiceE2M1Above12);
  }
  static formats::HalvedUE4M3 scale(const Block& b, int half) { return {b.d[half]}; }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
