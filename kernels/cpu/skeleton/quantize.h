// Owns: the quantisation of activation rows. Plain loops that compilers vectorise: only exact or correctly rounded
// operations, in no order that matters, so that every instruction set writes the same bytes.
#pragma once

#include <cstring>

#include "kernels/cpu/activation.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

template <class V>
struct Quantize {
  static constexpr std::int32_t infinity = 0x7f800000;

  static std::int32_t bits(float x) {
    std::int32_t out;
    std::memcpy(&out, &x, sizeof out);
    return out;
  }
  static float from_bits(std::int32_t x) {
    float out;
    std::memcpy(&out, &x, sizeof out);
    return out;
  }

  /// Nearest integer, ties to even, for |x| < 2^22: 1.5 * 2^23 pushes the fraction out of the significand.
  static std::int32_t nearest(float x) { return bits(x + 0x1.8p23f) - bits(0x1.8p23f); }

  /// The largest of the positive (sign = 0) or negative (sign = INT32_MIN) numbers, as its magnitude's bits; NaN is
  /// larger than infinity. As integers, floats of one sign order by magnitude and those of the other are negative.
  template <int N>
  static std::int32_t largest(const float* x, std::int32_t sign) {
    std::int32_t most = 0;
    for (int i = 0; i < N; ++i) {
      const std::int32_t magnitude = bits(x[i]) ^ sign;
      most = magnitude > most ? magnitude : most;
    }
    return most;
  }

  static void f32(const float* x, void* out, int k) {
    if (k > 0) std::memcpy(out, x, static_cast<std::size_t>(k) * sizeof(float));
  }

  static void sum_by_16(const std::int8_t* q, int groups, std::int16_t* sums) {
    for (int g = 0; g < groups; ++g) {
      std::int32_t sum = 0;
      for (int i = 0; i < 16; ++i) sum += q[16 * g + i];
      sums[g] = static_cast<std::int16_t>(sum);
    }
  }

  /// The largest magnitude, as its bits.
  template <int N>
  static std::int32_t largest_magnitude(const float* x) {
    std::int32_t most = 0;
    for (int i = 0; i < N; ++i) {
      const std::int32_t magnitude = bits(x[i]) & INT32_MAX;
      most = magnitude > most ? magnitude : most;
    }
    return most;
  }

  /// d = max|x| / 127, kept as a half as in the Q8_0 file format. Scales are found for several blocks at a time, one to a lane.
  static void q8_32(const float* x, void* out, int k) {
    constexpr int group = 16;
    auto* q = static_cast<std::int8_t*>(out);
    const int n = padded_q8_32(k), blocks = k / 32;
    auto* sums = reinterpret_cast<std::int16_t*>(q + n);
    auto* scales = reinterpret_cast<float*>(q + n + n / 8);
    for (int first = 0; first < n / 32; first += group) {
      const int count = n / 32 - first < group ? n / 32 - first : group;
      std::int32_t most[group] = {};
      for (int b = 0; b < count && first + b < blocks; ++b) most[b] = largest_magnitude<32>(x + 32 * (first + b));
      float d[group], inverse[group], scale[group];
      for (int b = 0; b < group; ++b) {
        const float whole = from_bits(most[b]) / 127.0f;
        const bool some = most[b] < infinity && whole >= 0x1p-126f;
        d[b] = some ? whole : 0.0f;
        inverse[b] = some ? 1.0f / whole : 0.0f;
      }
      round_to_half(d, scale, group);
      for (int b = 0; b < count; ++b, q += 32) {
        scales[first + b] = most[b] >= infinity ? from_bits(0x7fc00000) : scale[b];
        if (inverse[b] == 0)
          std::memset(q, 0, 32);
        else
          for (int i = 0; i < 32; ++i) q[i] = static_cast<std::int8_t>(nearest(x[32 * (first + b) + i] * inverse[b]));
      }
      sum_by_16(q - 32 * count, 2 * count, sums + 2 * first);
    }
  }
  static void round_to_half(const float* x, float* out, int n) {
    formats::Half half[V::lanes];
    for (int i = 0; i < n; i += V::lanes) {
      V::store(half, V::load(x + i), V::lanes);
      V::store(out + i, V::load(half));
    }
  }

  /// d from the value of largest magnitude, the first of equals: it becomes -127.
  static void q8_256(const float* x, void* out, int k) {
    auto* q = static_cast<std::int8_t*>(out);
    auto* sums = reinterpret_cast<std::int16_t*>(q + k);
    auto* scales = reinterpret_cast<float*>(q + k + k / 8);
    for (int b = 0; b < k / 256; ++b, x += 256, q += 256, sums += 16) {
      const std::int32_t up = largest<256>(x, 0), down = largest<256>(x, INT32_MIN), most = up > down ? up : down;
      if (most >= infinity || most < bits(0x1p-100f)) {
        scales[b] = most >= infinity ? from_bits(0x7fc00000) : 0.0f;
        std::memset(q, 0, 256);
        std::memset(sums, 0, 16 * sizeof *sums);
        continue;
      }
      bool negative = down > up;
      if (down == up) {
        int first = 0;
        while ((bits(x[first]) & INT32_MAX) != most) ++first;
        negative = x[first] < 0;
      }
      const float inverse = -127.0f / from_bits(negative ? most ^ INT32_MIN : most);
      scales[b] = 1.0f / inverse;
      for (int i = 0; i < 256; ++i) {
        const std::int32_t value = nearest(x[i] * inverse);
        q[i] = static_cast<std::int8_t>(value < 127 ? value : 127);
      }
      sum_by_16(q, 16, sums);
    }
  }
};

}  // namespace strata::kernels
