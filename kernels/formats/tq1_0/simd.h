// Owns: TQ1_0's unpacker for the vector kernels. Knows no instruction.
#pragma once

#include "kernels/formats/tq1_0/tq1_0.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

/// The power of 3 that brings each element's digit to the front of its byte.
struct ShiftsOfTrits {
  std::uint8_t power[256];
  constexpr ShiftsOfTrits() : power() {
    for (int e = 0; e < 256; ++e) power[e] = formats::kPowersOf3[formats::TQ1_0::place(e).digit];
  }
};
static constexpr ShiftsOfTrits kShifts;

template <class V>
struct Simd<V, formats::TQ1_0> {
  static constexpr int most = 2;
  using Block = formats::TQ1_0::Block;
  static constexpr bool scales_by_32 = true;

  static constexpr int zero_point = 1;

  static formats::Half d(const Block& b) { return b.d; }
  static auto scales(const Block&) { return typename V::NoScales(); }
  static auto mins(const Block&) { return V::mins_of_16(0x0101010101010101u, 0x0101010101010101u); }
  template <int j>
  static auto codes(const Block& b) {
    const auto a = V::sixteen(b.q), c = V::sixteen(b.q + 16), e = V::sixteen(b.q + 32);
    return V::trits(join<j>(a, c, e, V::four_times(b.q + 48)), kShifts.power + 64 * j);
  }

 private:
  template <int j, class Sixteen>
  static auto join(Sixteen a, Sixteen b, Sixteen c, Sixteen last) {
    if constexpr (j < 2) return V::join(a, b, a, b);
    else if constexpr (j == 2) return V::join(a, b, c, c);
    else return V::join(c, c, c, last);
  }

 public:

  using Tile = Tile256<V, Block, Simd>;
};

}  // namespace strata::kernels
