// Owns: IQ2_XS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq2_xs/iq2_xs.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ2_XS> {
  using Block = formats::IQ2_XS::Block;

  static constexpr float d_factor = 0.125f;
  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    const formats::U16x8 bytes = formats::widen(formats::load<formats::U8x8>(b.scales));
    return V::scales_of_even_odd(formats::odd_scales<4>(bytes << 12), formats::odd_scales<4>(bytes << 8));
  }
  template <int j>
  static auto codes(const Block& b) {
    const auto magnitudes = V::octets([&](int v) __attribute__((always_inline)) {
      return formats::IQ2_XS::grid.vector[b.vectors[8 * j + v] & 511];
    });
    const std::uint64_t lower = formats::load64(b.vectors + 8 * j) >> 9;
    const std::uint64_t upper = formats::load64(b.vectors + 8 * j + 4) >> 9;
    return V::negated(magnitudes, formats::with_parity(formats::low_bytes(lower, upper) & 0x7f7f7f7f7f7f7f7fu));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
