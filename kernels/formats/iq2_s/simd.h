// Owns: IQ2_S's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq2_s/iq2_s.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ2_S> {
  using Block = formats::IQ2_S::Block;

  static constexpr float d_factor = 0.125f;
  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    const formats::U16x8 bytes = formats::widen(formats::load<formats::U8x8>(b.scales));
    return V::scales_of_even_odd(formats::odd_scales<4>(bytes << 12), formats::odd_scales<4>(bytes << 8));
  }
  template <int j>
  static auto codes(const Block& b) {
    const unsigned high = formats::load16(b.high + 2 * j);
    const auto magnitudes = V::octets([&](int v) __attribute__((always_inline)) {
      return formats::IQ2_S::grid.vector[b.place[8 * j + v] | (high >> 2 * v & 3) << 8];
    });
    return V::negated(magnitudes, formats::load64(b.signs + 8 * j));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
