// Owns: IQ2_XXS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq2_xxs/iq2_xxs.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ2_XXS> {
  using Block = formats::IQ2_XXS::Block;

  static auto d(const Block& b) { return V::mul(V::half(b.d), V::set(0.125f)); }
  static auto scales(const Block& b) {
    std::uint64_t bytes = 0;
    for (int s = 0; s < 8; ++s) bytes |= static_cast<std::uint64_t>(b.part[s].signs[3] >> 4) << 8 * s;
    return V::scales_of_32(formats::odd_scales(bytes));
  }
  template <int j>
  static auto codes(const Block& b) {
    const auto magnitudes = octets<V>([&](int v) __attribute__((always_inline)) {
      return formats::IQ2_XXS::grid.vector[b.part[2 * j + v / 4].place[v % 4]];
    });
    const std::uint64_t words = formats::load32(b.part[2 * j].signs) | std::uint64_t{formats::load32(b.part[2 * j + 1].signs)} << 32;
    return V::negated(magnitudes, formats::with_parity(formats::spread_sevens(words)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
