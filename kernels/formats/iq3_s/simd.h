// Owns: IQ3_S's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq3_s/iq3_s.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ3_S> {
  using Block = formats::IQ3_S::Block;
  static constexpr bool scales_by_32 = true;

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    constexpr formats::U16x8 lower = {1 << 12, 1 << 8, 1 << 4, 1}, upper = {0, 0, 0, 0, 1 << 12, 1 << 8, 1 << 4, 1};
    const auto word = [&](int i) { return formats::all(formats::load16(b.scales + 2 * i)); };
    return V::scales_of_32(formats::odd_scales<4>(word(0) * lower + word(1) * upper));  // nibbles to the words' tops
  }
  template <int j>
  static auto codes(const Block& b) {
    const unsigned high = formats::load16(b.high + 2 * j);
    const auto magnitudes = V::quads([&](int v) __attribute__((always_inline)) {
      return formats::IQ3_S::grid.vector[b.place[16 * j + v] | (high >> v & 1) << 8];
    });
    return V::negated(magnitudes, formats::load64(b.signs + 8 * j));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
