// Owns: IQ1_S's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq1_s/iq1_s.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ1_S> {
  static constexpr int most = 16;
  using Block = formats::IQ1_S::Block;
  static constexpr bool scales_by_32 = true;

  static constexpr int zero_point = 1;  // minima are 9 or 7 times the scales: d / 8 * scale * (8 (t + 1) - 8 +- 1)

  static constexpr float d_factor = 0.125f;
  static formats::Half d(const Block& b) { return b.d; }
  static formats::U16x8 odd_scales(formats::U16x8 high) { return formats::odd_scales<3>(high << 1); }
  static auto scales(const Block& b) { return V::scales_of_32(odd_scales(formats::load<formats::U16x8>(b.high))); }
  static auto mins(const Block& b) {
    const auto high = formats::load<formats::U16x8>(b.high);
    return V::mins_of_32(odd_scales(high) * ((high >> 15) * 2 + 7));
  }
  template <int j>
  static auto codes(const Block& b) {
    const unsigned p = b.high[2 * j], q = b.high[2 * j + 1];
    return V::octets([&](int v) __attribute__((always_inline)) {
      return formats::IQ1_S::grid.vector[b.place[8 * j + v] | ((v < 4 ? p : q) >> 3 * (v % 4) & 7) << 8];
    });
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
