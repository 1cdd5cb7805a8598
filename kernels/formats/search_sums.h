// Owns: the arithmetic under the searches: rounding, weights, sums over lanes in a fixed order.
// Knows no search and no block layout.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/formats/half.h"

namespace strata::formats::searching {

/// Four floats; arithmetic is lane by lane, with the instructions that every processor of the target has.
using Four = float __attribute__((vector_size(16)));

inline Four load(const float* from) {
  Four out;
  std::memcpy(&out, from, sizeof out);
  return out;
}
inline void store(float* to, Four value) { std::memcpy(to, &value, sizeof value); }
inline Four four(float value) { return Four{value, value, value, value}; }

/// The nearest integer in [low, high], of halves the even one; NaN gives `low`. |low|, |high| < 2^22.
inline Four nearest(Four value, float low, float high) {
  const Four lowest = four(low), highest = four(high), magic = four(0x1.8p23f);
  value = value > lowest ? value : lowest;
  value = value < highest ? value : highest;
  return (value + magic) - magic;  // adding 1.5 * 2^23 leaves no bits below one
}
inline float nearest(float value, float low, float high) { return nearest(four(value), low, high)[0]; }

/// 1 / value, or 0 where that is no normal number.
inline float inverse(float value) { return std::fabs(value) > 0x1p-126f ? 1.0f / value : 0.0f; }

/// Sum of term(i), four terms from i on, for i in [0, n), n a multiple of 8; in one order on every processor.
template <int n, class Term>
float sum(Term term) {
  static_assert(n % 8 == 0);
  Four even = four(0), odd = four(0);
  for (int i = 0; i < n; i += 8) {
    even += term(i);
    odd += term(i + 4);
  }
  const Four both = even + odd;
  return (both[0] + both[2]) + (both[1] + both[3]);
}

/// out[i] = value(i), four values from i on.
template <int n, class Value>
void fill(float* out, Value value) {
  for (int i = 0; i < n; i += 4) store(out + i, value(i));
}

/// Weights of squared errors in a block of n elements, their mean 1. A floor keeps what the calibration never saw from
/// being given up.
template <int n>
struct Weights {
  float of[n];

  /// Null, or a sum that is zero or not finite: all equal.
  explicit Weights(const float* importance) {
    constexpr float kFloor = 1e-3f;
    double total = 0;
    if (importance)
      for (int i = 0; i < n; ++i) total += importance[i];
    const double scale = n / total;
    const bool usable = total > 0 && std::isfinite(total) && std::isfinite(scale);
    for (int i = 0; i < n; ++i) {
      const float weight = usable ? static_cast<float>(importance[i] * scale) : 1.0f;
      of[i] = weight > kFloor ? weight : kFloor;
    }
  }
};

/// `attempt(weights, result)` fills `result` and returns it; `decode(result, i)` gives element i back. With importance,
/// the weighted attempt and the plain one are compared by the weighted error.
template <int n, class Block, class Attempt, class Decode>
Block better_attempt(const float* x, const float* importance, Attempt attempt, Decode decode) {
  const Block plain = attempt(Weights<n>(nullptr).of);
  if (!importance) return plain;
  const Block weighted = attempt(Weights<n>(importance).of);
  double plain_error = 0, weighted_error = 0;
  for (int i = 0; i < n; ++i) {
    const double a = static_cast<double>(x[i]) - decode(plain, i), b = static_cast<double>(x[i]) - decode(weighted, i);
    plain_error += importance[i] * a * a;
    weighted_error += importance[i] * b * b;
  }
  return weighted_error < plain_error ? weighted : plain;
}

}  // namespace strata::formats::searching
