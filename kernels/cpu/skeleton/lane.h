// Owns: a batch of one float with the operations of xsimd::batch that elementwise.h uses: the scalar table's batch, and
// every table's where xsimd is absent at build time. V keeps the instantiations of translation units apart.
#pragma once

#include <math.h>

#include <cstdint>

#include "kernels/formats/half.h"

namespace strata::kernels {

template <class V>
struct Lane {
  static constexpr int size = 1;
  float v;

  Lane() = default;
  Lane(float x) : v(x) {}
  static Lane load_unaligned(const float* p) { return *p; }
  void store_unaligned(float* p) const { *p = v; }

  friend Lane operator+(Lane a, Lane b) { return a.v + b.v; }
  friend Lane operator-(Lane a, Lane b) { return a.v - b.v; }
  friend Lane operator*(Lane a, Lane b) { return a.v * b.v; }
  friend Lane operator/(Lane a, Lane b) { return a.v / b.v; }
  friend Lane operator-(Lane a) { return -a.v; }
  friend Lane abs(Lane a) { return a.v < 0 ? -a.v : a.v; }
  friend Lane max(Lane a, Lane b) { return a.v > b.v ? a.v : b.v; }  // b when either is NaN, as in vmaxps
  friend Lane min(Lane a, Lane b) { return a.v < b.v ? a.v : b.v; }  // likewise
  friend Lane tanh(Lane a) { return ::tanhf(a.v); }
  friend Lane log1p(Lane a) { return ::log1pf(a.v); }

  /// e^x within 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, and a Taylor polynomial of e^r. NaN stays NaN.
  friend Lane exp(Lane a) {
    const float x = a.v > 104.0f ? 104.0f : a.v < -104.0f ? -104.0f : a.v;  // beyond: infinity and zero all the same
    const float shifted = x * 0x1.715476p+0f + 0x1.8p23f, n = shifted - 0x1.8p23f;
    // ln 2 in two parts; the first has so many trailing zeros that its product with |n| <= 151 is exact
    const float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = (p * r) * r + r;
    // 2^n in two factors, for results beyond the ends of the normal range
    const auto power = static_cast<std::int32_t>(formats::float_bits(shifted) - formats::float_bits(0x1.8p23f));
    const std::int32_t first = power >> 1, second = power - first;
    const float scale1 = formats::float_from_bits(static_cast<std::uint32_t>(first + 127) << 23);
    const float scale2 = formats::float_from_bits(static_cast<std::uint32_t>(second + 127) << 23);
    return (1.0f + p) * scale1 * scale2;
  }
};

}  // namespace strata::kernels
