// Owns: IQ4_XS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq4_xs/iq4_xs.h"
#include "kernels/formats/bits.h"
#include "kernels/formats/nonlinear.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ4_XS> {
  using Block = formats::IQ4_XS::Block;
  static constexpr bool scales_by_32 = true;

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) {
    const std::uint64_t low = formats::spread_nibbles(formats::load32(b.low_scales)), high = formats::spread_pairs(b.high_scales);
    return V::scales_of_32(formats::bytes_less_32(low | high << 4));
  }
  template <int j>
  static auto codes(const Block& b) {
    return V::signed_lookup(V::nibbles_by_32(b.q + 32 * j), formats::kNonlinear);
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
