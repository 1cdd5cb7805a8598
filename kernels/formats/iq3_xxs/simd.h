// Owns: IQ3_XXS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq3_xxs/iq3_xxs.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ3_XXS> {
  using Block = formats::IQ3_XXS::Block;
  static constexpr bool scales_by_32 = true;

  static constexpr float d_factor = 0.25f;
  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    return V::scales_of_32((formats::top_words<4>(b.signs) >> 12) * 2 + 1);
  }
  template <int j>
  static auto codes(const Block& b) {
    const auto magnitudes = V::quads([&](int v) __attribute__((always_inline)) {
      return formats::IQ3_XXS::grid.vector[b.place[16 * j + v]];
    });
    const auto words = formats::load64(b.signs + 8 * j);
    return V::negated(magnitudes, formats::with_parity(formats::spread_sevens(words)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
