// Owns: MXFP4's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/lanes.h"
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

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <class Rows>
  static auto ds(const Rows& b) {  // as formats::half_e8m0 makes them
    const auto e = V::widen_bytes(b.template left<std::uint8_t>());
    const auto tiny = (typename V::Words)(e < 2);  // all bits where it holds
    return V::as_floats((tiny & ((e + 1) << 21)) | (~tiny & ((e - 1) << 23)));
  }
  template <int i, class Rows>
  static auto word(const Rows& b) {
    return V::look_up(formats::nibble_word<i>(b, offsetof(Block, q)), formats::kTwiceE2M1Above12);
  }

  using Tile = Tile32<V, Block, Simd>;
};

}  // namespace strata::kernels
