// Owns: IQ1_M's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/iq1_m/iq1_m.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::IQ1_M> {
  using Block = formats::IQ1_M::Block;
  static constexpr int zero_point = 9;  // d * scale * (8 (t + 1) + 1 +- 1 - 9)

  static std::uint64_t scale_bytes(std::uint32_t words) {  // 2 words of 4 fields
    std::uint64_t fields = (words & 0x0fffu) | std::uint64_t{words & 0x0fff0000u} << 16;
    fields = (fields & 0x0000003f0000003fu) | (fields & 0x00000fc000000fc0u) << 10;
    fields = (fields & 0x0007000700070007u) | (fields & 0x0038003800380038u) << 5;
    return formats::odd_scales(fields);
  }
  static auto scales(const Block& b) {
    return V::scales_of_16(scale_bytes(formats::load32(b.scales)), scale_bytes(formats::load32(b.scales + 4)));
  }
  static auto mins(const Block& b) {
    return V::mins_of_16(scale_bytes(formats::load32(b.scales)), scale_bytes(formats::load32(b.scales + 4)));
  }
  static auto d(const Block& b) { return V::mul(V::half(formats::iq1_m_d(formats::load64(b.scales))), V::set(0.125f)); }
  template <int j>
  static auto codes(const Block& b) {
    const std::uint32_t high = formats::load32(b.high + 4 * j);
    return octets<V>([&](int v) __attribute__((always_inline)) {
      const std::uint32_t nibble = high >> 4 * v;
      const std::uint64_t twos = (~nibble >> 3 & 1) * 0x0202020202020202u;
      return formats::IQ1_S::grid.vector[b.place[8 * j + v] | (nibble & 7) << 8] + twos;
    });
  }

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
