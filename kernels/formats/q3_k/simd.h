// Owns: Q3_K's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include <cstddef>

#include "kernels/formats/bits.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/q3_k/q3_k.h"
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

  // Rows side by side (skeleton/panel.h): words of four codes of each row.
  static constexpr bool has_words = true;
  /// Scales, then low bits with the high bits that belong to them.
  static constexpr int place(int w) {
    if (w >= 24) return w - 24;
    return 3 + (w < 8 ? formats::beside_high(true, w) : formats::beside_high(false, w - 8));
  }
  template <class Rows>
  static auto scale_words(const Rows& b) {
    constexpr int at = offsetof(Block, scales);
    const auto scale = [&](int i) __attribute__((always_inline)) {  // of groups 4 i to 4 i + 3
      const auto low = b.word(at + 4 * (i % 2)) >> 4 * (i / 2) & 0x0f0f0f0fu;
      return formats::bytes_less_32(low | (b.word(at + 8) >> 2 * i & 0x03030303u) << 4);
    };
    return formats::four_words(scale(0), scale(1), scale(2), scale(3));
  }
  /// Word i of codes<j>.
  template <int j, int i, class Rows>
  static auto word(const Rows& b) {
    constexpr int quarter = j % 2 * 2 + i / 8;
    const auto low = formats::moved<2 * quarter, 0, 3>(b.word(offsetof(Block, q) + 32 * (j / 2) + 4 * (i % 8)));
    return low | formats::moved<2 * j + i / 8, 2, 1>(b.word(offsetof(Block, high) + 4 * (i % 8)));
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
