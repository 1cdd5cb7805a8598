// Owns: the search for the scale of a group of E2M1 numbers. Knows no block layout.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/formats/small_floats.h"

namespace strata::formats {

/// Keeps the codes of the scale with the least squared error, weighted by importance where there is one.
class E2M1Search {
 public:
  /// n <= 32 elements; `codes` receives the best so far.
  E2M1Search(const float* x, const float* importance, int n, std::uint8_t* codes)
      : x_(x), importance_(importance), n_(n), codes_(codes) {
    for (int i = 0; i < n; ++i) codes[i] = 0;
  }

  /// x[i] ~ half_scale * kTwiceE2M1[code]. Whether this is the best so far; the first always is.
  bool try_scale(float half_scale) {
    std::uint8_t codes[32];
    const float inverse = half_scale > 0 ? 1.0f / half_scale : 0.0f;
    double error = 0;
    for (int i = 0; i < n_; ++i) {
      codes[i] = nearest(x_[i] * inverse);
      const double difference = double(x_[i]) - double(half_scale) * kTwiceE2M1[codes[i]];
      error += (importance_ ? double(importance_[i]) : 1.0) * difference * difference;
    }
    if (tried_ && !(error < least_)) return false;
    tried_ = true;
    least_ = error;
    for (int i = 0; i < n_; ++i) codes_[i] = codes[i];
    return true;
  }

 private:
  static std::uint8_t nearest(float twice) {  // 0 for NaN
    const float size = std::fabs(twice);
    int code = 0;
    for (const float border : {0.5f, 1.5f, 2.5f, 3.5f, 5.0f, 7.0f, 10.0f}) code += size > border ? 1 : 0;
    return static_cast<std::uint8_t>(code | (twice < 0 && code > 0 ? 8 : 0));
  }

  const float* x_;
  const float* importance_;
  int n_;
  std::uint8_t* codes_;
  bool tried_ = false;
  double least_ = 0;
};

}  // namespace strata::formats
