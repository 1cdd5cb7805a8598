// Owns: IQ4_XS's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/bits.h"
#include "kernels/formats/iq4_xs/iq4_xs.h"
#include "kernels/formats/lanes.h"
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

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  template <class Rows>
  static auto scale_words(const Rows& b) {
    // Sixteen bits and eight nibbles to pairs and nibbles of bytes.
    const auto high = b.word(offsetof(Block, d)) >> 16, low = b.word(offsetof(Block, low_scales));
    const auto scale = [&](int i) __attribute__((always_inline)) {  // of groups 4 i to 4 i + 3
      auto nibbles = low >> 16 * i & 0xffffu, pairs = high >> 8 * i & 0xffu;
      nibbles = (nibbles | nibbles << 8) & 0x00ff00ffu;
      nibbles = (nibbles | nibbles << 4) & 0x0f0f0f0fu;
      pairs = (pairs | pairs << 12) & 0x000f000fu;
      pairs = (pairs | pairs << 6) & 0x03030303u;
      return formats::bytes_less_32(nibbles | pairs << 4);
    };
    return formats::two_words(scale(0), scale(1));
  }
  /// Word i of codes<j>.
  template <int j, int i, class Rows>
  static auto word(const Rows& b) {
    return V::look_up(b.word(offsetof(Block, q) + 32 * j + 16 * (i / 8) + 4 * (i % 4)) >> 4 * (i / 4 % 2) & 0x0f0f0f0fu, formats::kNonlinear);
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
