// Owns: IQ3_XXS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq3_xxs/iq3_xxs.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ3_XXS> {
  using Block = formats::IQ3_XXS::Block;

  static auto d(const Block& b) { return V::mul(V::half(b.d), V::set(0.25f)); }
  static auto scales(const Block& b) {
    std::uint64_t bytes = 0;
    for (int s = 0; s < 8; ++s) bytes |= static_cast<std::uint64_t>(b.signs[4 * s + 3] >> 4) << 8 * s;
    return V::scales_of_32(formats::odd_scales(bytes));
  }
  template <int j>
  static auto codes(const Block& b) {
    const auto one = [&](int v) __attribute__((always_inline)) { return formats::IQ3_XXS::grid.vector[b.place[16 * j + v]]; };
    const auto magnitudes = octets<V>([&](int v) __attribute__((always_inline)) {
      return one(2 * v) | std::uint64_t{one(2 * v + 1)} << 32;
    });
    return V::negated(magnitudes, formats::with_parity(formats::spread_sevens(formats::load64(b.signs + 8 * j))));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
