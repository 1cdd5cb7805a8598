// Owns: IQ1_M's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq1_m/iq1_m.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ1_M> {
  static constexpr int most = 18;
  using Block = formats::IQ1_M::Block;

  static constexpr int zero_point = 9;  // d / 8 * scale * (8 (t + 1) + 1 +- 1 - 9)

  static constexpr float d_factor = 0.125f;
  static formats::Half d(const Block& b) { return formats::iq1_m_d(formats::load64(b.scales)); }
  /// Those of the groups first, first + 2 ... The factors move their bits to the upper ends of words.
  template <int first>
  static formats::U16x8 group_scales(const Block& b) {
    const auto w = [&](int i) { return formats::load16(b.scales + 2 * i); };
    const formats::U16x8 twice = {w(0), w(0), w(1), w(1), w(2), w(2), w(3), w(3)};
    constexpr std::uint16_t even = 1 << (13 - 3 * first), odd = 1 << (7 - 3 * first);
    return formats::odd_scales<3>(twice * formats::U16x8{even, odd, even, odd, even, odd, even, odd});
  }
  static auto scales(const Block& b) { return V::scales_of_even_odd(group_scales<0>(b), group_scales<1>(b)); }
  static auto mins(const Block& b) { return V::mins_of_even_odd(group_scales<0>(b), group_scales<1>(b)); }
  template <int j>
  static auto codes(const Block& b) {
    const auto high = formats::load32(b.high + 4 * j);
    const auto trits = V::octets([&](int v) __attribute__((always_inline)) {
      return formats::IQ1_S::grid.vector[b.place[8 * j + v] | (high >> 4 * v & 7) << 8];
    });
    return V::raised(trits, high);
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
