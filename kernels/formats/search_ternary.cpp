// Owns: the search for the scale of ternary codes. Knows no block layout.
#include "kernels/formats/search_ternary.h"

#include <algorithm>
#include <cmath>

namespace strata::formats {

Half search_ternary(const float* x, const float* importance, int n, std::uint8_t* codes) {
  // Whatever the scale, the elements with a code are the largest ones. For the first c of them the best scale is their
  // mean magnitude, and it takes (sum of magnitudes)^2 / c off the error; so every c is tried.
  std::uint8_t order[256];
  for (int i = 0; i < n; ++i) order[i] = static_cast<std::uint8_t>(i);
  const auto size = [x](int i) { return std::isnan(x[i]) ? 0.0f : std::fabs(x[i]); };
  std::sort(order, order + n, [&](int a, int b) { return size(a) > size(b) || (size(a) == size(b) && a < b); });
  double sum = 0, weights = 0, most = 0, scale = 0;
  for (int i = 0; i < n; ++i) {
    const double weight = importance ? double(importance[order[i]]) : 1.0;
    sum += weight * size(order[i]);
    weights += weight;
    if (weights > 0 && sum * sum > most * weights) {
      most = sum * sum / weights;
      scale = sum / weights;
    }
  }
  const Half d = to_half(static_cast<float>(scale));
  const float border = to_float(d) / 2;
  for (int i = 0; i < n; ++i) codes[i] = x[i] > border ? 2 : x[i] < -border ? 0 : 1;
  return d;
}

}  // namespace strata::formats
