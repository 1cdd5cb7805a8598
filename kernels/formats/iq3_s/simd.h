// Owns: IQ3_S's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq3_s/iq3_s.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ3_S> {
  using Block = formats::IQ3_S::Block;

  static auto d(const Block& b) { return V::half(b.d); }
  static auto scales(const Block& b) {
    return V::scales_of_32(formats::odd_scales(formats::spread_nibbles(formats::load32(b.scales))));
  }
  template <int j>
  static auto codes(const Block& b) {
    const unsigned high = formats::load16(b.high + 2 * j);
    const auto one = [&](int v) __attribute__((always_inline)) {
      return formats::IQ3_S::grid.vector[b.place[16 * j + v] | (high >> v & 1) << 8];
    };
    const auto magnitudes = octets<V>([&](int v) __attribute__((always_inline)) {
      return one(2 * v) | std::uint64_t{one(2 * v + 1)} << 32;
    });
    return V::negated(magnitudes, formats::load64(b.signs + 8 * j));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
