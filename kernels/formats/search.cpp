// Owns: the encoders' scale searches. Knows no block layout.
#include "kernels/formats/search.h"

#include <algorithm>
#include <cmath>

namespace strata::formats {
namespace {

/// Nearest code in [low, high]; NaN gives `low`.
int nearest(float value, int low, int high) {
  if (!(value > static_cast<float>(low))) return low;
  return value < static_cast<float>(high) ? static_cast<int>(std::lrint(value)) : high;
}

struct Line {
  float scale = 0, offset = 0;  ///< x ~ scale * code + offset, with offset <= 0
};

/// The line of least weighted squared error through (codes, x), and that error.
Line fit(const float* x, const float* weight, const float* codes, int n, float& error) {
  double w = 0, wl = 0, wx = 0, wll = 0, wlx = 0, wxx = 0;
  for (int i = 0; i < n; ++i) {
    const double weighted = weight[i], l = codes[i], v = x[i];
    w += weighted;
    wl += weighted * l;
    wx += weighted * v;
    wll += weighted * l * l;
    wlx += weighted * l * v;
    wxx += weighted * v * v;
  }
  double scale = 0, offset = 0;
  const double determinant = w * wll - wl * wl;
  if (determinant > 0) {
    scale = (w * wlx - wx * wl) / determinant;
    offset = (wll * wx - wl * wlx) / determinant;
  }
  if (!(determinant > 0) || offset > 0) {
    offset = 0;
    scale = wll > 0 ? wlx / wll : 0;
  }
  error = static_cast<float>(wxx + scale * scale * wll + w * offset * offset +
                             2 * (scale * offset * wl - scale * wlx - offset * wx));
  return {static_cast<float>(scale), static_cast<float>(offset)};
}

/// One sub-block of n <= 32 elements: tries divisions of its range into a few more or fewer steps than there are codes.
Line search_line(const float* x, int n, int max_code) {
  float low = 0, high = x[0], squares = 0, weight[32], codes[32];
  for (int i = 0; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    squares += x[i] * x[i];
  }
  if (!(high > low)) return {0, low};
  const float typical = std::sqrt(squares / static_cast<float>(n));
  for (int i = 0; i < n; ++i) weight[i] = typical + std::fabs(x[i]);  // large weights matter more to a dot product
  Line best{(high - low) / static_cast<float>(max_code), low};
  float least = INFINITY;
  for (int candidate = -16; candidate <= 10; ++candidate) {
    const float inverse = (static_cast<float>(max_code) + 0.1f * static_cast<float>(candidate)) / (high - low);
    for (int i = 0; i < n; ++i) codes[i] = static_cast<float>(nearest(inverse * (x[i] - low), 0, max_code));
    float error;
    const Line line = fit(x, weight, codes, n, error);
    if (error < least && line.scale > 0) {
      least = error;
      best = line;
    }
  }
  return best;
}

/// One group of 16: the scale that maximises <wx, l>^2 / <wl, l>, which minimises the weighted error.
float search_scale(const float* x) {
  float extreme = 0, best = 0;
  for (int i = 0; i < 16; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  if (!(std::fabs(extreme) > 1e-30f)) return 0;
  double most = 0;
  for (int candidate = -9; candidate <= 9; ++candidate) {
    const float inverse = -(32.0f + 0.1f * static_cast<float>(candidate)) / extreme;
    double wlx = 0, wll = 0;
    for (int i = 0; i < 16; ++i) {
      const double l = nearest(inverse * x[i], -32, 31), w = static_cast<double>(x[i]) * x[i];
      wlx += w * l * x[i];
      wll += w * l * l;
    }
    if (wll > 0 && wlx * wlx > most * wll) {
      most = wlx * wlx / wll;
      best = static_cast<float>(wlx / wll);
    }
  }
  return best;
}

}  // namespace

AffineBlock search_affine(const float x[256], int max_code, std::uint8_t codes[256]) {
  Line lines[8];
  float largest_scale = 0, largest_min = 0;
  for (int s = 0; s < 8; ++s) {
    lines[s] = search_line(x + 32 * s, 32, max_code);
    largest_scale = std::max(largest_scale, lines[s].scale);
    largest_min = std::max(largest_min, -lines[s].offset);
  }
  AffineBlock out;
  out.d = to_half(largest_scale / 63.0f);
  out.dmin = to_half(largest_min / 63.0f);
  const float d = to_float(out.d), dmin = to_float(out.dmin);
  for (int s = 0; s < 8; ++s) {
    out.scale[s] = static_cast<std::uint8_t>(d > 0 ? nearest(lines[s].scale / d, 0, 63) : 0);
    out.min[s] = static_cast<std::uint8_t>(dmin > 0 ? nearest(-lines[s].offset / dmin, 0, 63) : 0);
    const float step = d * static_cast<float>(out.scale[s]), offset = dmin * static_cast<float>(out.min[s]);
    for (int i = 32 * s; i < 32 * s + 32; ++i)
      codes[i] = static_cast<std::uint8_t>(step > 0 ? nearest((x[i] + offset) / step, 0, max_code) : 0);
  }
  return out;
}

Half search_symmetric(const float x[256], std::int8_t scales[16], std::uint8_t codes[256]) {
  float found[16], extreme = 0;
  for (int g = 0; g < 16; ++g) {
    found[g] = search_scale(x + 16 * g);
    if (std::fabs(found[g]) > std::fabs(extreme)) extreme = found[g];
  }
  const Half half = to_half(extreme / -128.0f);  // the largest scale gets -128, the longer end of the signed range
  const float d = to_float(half);
  for (int g = 0; g < 16; ++g) {
    scales[g] = static_cast<std::int8_t>(d != 0 ? nearest(found[g] / d, -128, 127) : 0);
    const float step = d * static_cast<float>(scales[g]);
    for (int i = 16 * g; i < 16 * g + 16; ++i)
      codes[i] = static_cast<std::uint8_t>(32 + (step != 0 ? nearest(x[i] / step, -32, 31) : 0));
  }
  return half;
}

}  // namespace strata::formats
