// Owns: IQ1_S's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq1_s/iq1_s.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ1_S> {
  using Block = formats::IQ1_S::Block;
  static constexpr int zero_point = 1;  // the minima are 9 or 7 times the scales: d * scale * (8 (t + 1) - 8 +- 1)

  static auto d(const Block& b) { return V::mul(V::half(b.d), V::set(0.125f)); }
  static std::uint64_t scale_bytes(const Block& b) {
    const std::uint64_t lower = formats::load64(b.high) >> 12, upper = formats::load64(b.high + 4) >> 12;
    return formats::odd_scales(formats::low_bytes(lower, upper) & 0x0707070707070707u);
  }
  static std::uint64_t min_bytes(const Block& b) {
    const std::uint64_t lower = formats::load64(b.high) >> 15, upper = formats::load64(b.high + 4) >> 15;
    const std::uint64_t taken = formats::low_bytes(lower, upper) & 0x0101010101010101u, scales = scale_bytes(b);
    return scales * 7 + (scales * 2 & taken * 255);
  }
  static auto scales(const Block& b) { return V::scales_of_32(scale_bytes(b)); }
  static auto mins(const Block& b) { return V::mins_of_32(min_bytes(b)); }
  template <int j>
  static auto codes(const Block& b) {
    const unsigned high[2] = {formats::load16(b.high + 2 * j), formats::load16(b.high + 2 * j + 1)};
    return octets<V>([&](int v) __attribute__((always_inline)) {
      return formats::IQ1_S::grid.vector[b.place[8 * j + v] | (high[v / 4] >> 3 * (v % 4) & 7) << 8];
    });
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
