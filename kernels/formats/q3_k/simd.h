// Owns: Q3_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/q3_k/q3_k.h"
#include "kernels/formats/bits.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::Q3_K> {
  static constexpr int most = 7;
  using Block = formats::Q3_K::Block;

  static constexpr int zero_point = 4;

  /// Scales 0 to 7 (Half = 0) or 8 to 15.
  template <int Half>
  static std::uint64_t scale_bytes(const Block& b) {
    const std::uint64_t low = formats::load64(b.scales) >> 4 * Half & 0x0f0f0f0f0f0f0f0fu;
    const std::uint32_t pairs = formats::load32(b.scales + 8) >> 4 * Half;
    const std::uint64_t high = (pairs & 0x03030303u) | std::uint64_t{pairs >> 2 & 0x03030303u} << 32;
    return formats::bytes_less_32(low | high << 4);
  }

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block& b) { return V::scales_of_16(scale_bytes<0>(b), scale_bytes<1>(b)); }
  static auto mins(const Block& b) { return V::mins_of_16(scale_bytes<0>(b), scale_bytes<1>(b)); }
  template <int j>
  static auto codes(const Block& b) {  // half j / 2; its quarters 0 and 1 (j even) or 2 and 3 (j odd)
    constexpr int at = j % 2 * 4;
    return V::either(V::template fields<0, at, at + 2, 3>(b.q + j / 2 * 32), V::template fields<2, 2 * j, 2 * j + 1, 1>(b.high));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
