// Owns: IQ2_XXS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq2_xxs/iq2_xxs.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ2_XXS> {
  using Block = formats::IQ2_XXS::Block;
  static constexpr bool scales_by_32 = true;

  static constexpr float d_factor = 0.125f;
  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    return V::scales_of_32((formats::top_words<8>(b.part) >> 12) * 2 + 1);
  }
  template <int j>
  static auto codes(const Block& b) {
    const auto &p = b.part[2 * j], &q = b.part[2 * j + 1];
    const auto magnitudes = V::octets([&](int v) __attribute__((always_inline)) {
      return formats::IQ2_XXS::grid.vector[(v < 4 ? p : q).place[v % 4]];
    });
    const std::uint64_t words = formats::load32(p.signs) | std::uint64_t{formats::load32(q.signs)} << 32;
    return V::negated(magnitudes, formats::with_parity(formats::spread_sevens(words)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
