// Owns: the searches of blocks of 256 elements whose groups have small integers for scales. Knows no block layout.
//
// First every group is fitted by itself, in float. Then the integers of the groups and the block's own scale are chosen
// in turn: for each group the best integers among the neighbours of the float fit, for the block the least squares over
// everything that the integers multiply.
#include <algorithm>
#include <cmath>

#include "kernels/formats/search.h"
#include "kernels/formats/search_scale.h"
#include "kernels/formats/search_sums.h"

namespace strata::formats {
namespace {

using namespace searching;

constexpr int kBlock = 256;
constexpr int kRounds = 3;

// --- symmetric ---------------------------------------------------------------------------------------------------------

template <int groups>
struct Grouped {
  Half d;
  float scale[groups];
  float level[kBlock];
  float value(int i) const { return to_float(d) * scale[i / (kBlock / groups)] * level[i]; }
};

/// Chooses the groups' integers and the levels for a given d, and returns the error.
template <int groups, class Levels>
float choose_scales(const float* x, const float* weight, const Levels& levels, float low_scale, const float* wanted,
                    Grouped<groups>& out) {
  constexpr int size = kBlock / groups;
  const float d = to_float(out.d), inverted = inverse(d);
  float total = 0;
  for (int g = 0; g < groups; ++g) {
    const float* xs = x + g * size;
    const float* ws = weight + g * size;
    const float middle = nearest(inverted * wanted[g], low_scale, -low_scale - 1);
    float least = INFINITY;
    out.scale[g] = middle;
    for (float scale = std::max(middle - 1, low_scale); scale <= std::min(middle + 1, -low_scale - 1); ++scale) {
      const float error = scale_error<size>(xs, ws, levels, d * scale);
      if (!(error < least)) continue;
      least = error;
      out.scale[g] = scale;
    }
    total += least;
    const float step = inverse(d * out.scale[g]);
    fill<size>(out.level + g * size, [&](int i) { return levels(step * load(xs + i)); });
  }
  return total;
}

template <int groups, class Levels>
Grouped<groups> attempt_grouped(const float* x, const float* weight, const Levels& levels, const Grid& grid, int lowest_scale) {
  constexpr int size = kBlock / groups;
  const auto low_scale = static_cast<float>(lowest_scale);
  float wanted[groups], extreme = 0;
  for (int g = 0; g < groups; ++g) {
    wanted[g] = best_scale<size>(x + g * size, weight + g * size, levels, grid);
    if (std::fabs(wanted[g]) > std::fabs(extreme)) extreme = wanted[g];
  }
  Grouped<groups> best, next;
  next.d = to_half(extreme / low_scale);  // the largest scale gets the longer end of the range
  float least = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    const float error = choose_scales<groups>(x, weight, levels, low_scale, wanted, next);
    if (round > 0 && !(error < least)) break;
    least = error;
    best = next;
    const auto unit = [&](int i) { return next.scale[i / size] * load(next.level + i); };
    const float ux = sum<kBlock>([&](int i) { return load(weight + i) * unit(i) * load(x + i); });
    const float uu = sum<kBlock>([&](int i) { return load(weight + i) * unit(i) * unit(i); });
    if (!(uu > 0)) break;
    next.d = to_half(ux / uu);
  }
  return best;
}

template <int groups, class Levels>
Grouped<groups> search_grouped(const float* x, const float* importance, const Levels& levels, const Grid& grid, int low_scale) {
  return better_attempt<kBlock, Grouped<groups>>(
      x, importance, [&](const float* weight) { return attempt_grouped<groups>(x, weight, levels, grid, low_scale); },
      [](const Grouped<groups>& block, int i) { return block.value(i); });
}

// --- lines -------------------------------------------------------------------------------------------------------------

struct Line {
  float scale = 0, min = 0;  ///< x ~ scale * code - min, both >= 0
};

struct Lines {
  int groups;
  GroupedLineBlock block;
  std::uint8_t code[kBlock];
  float value(int i) const {
    const int g = i / (kBlock / groups);
    return to_float(block.d) * static_cast<float>(block.scale[g]) * static_cast<float>(code[i]) -
           to_float(block.dmin) * static_cast<float>(block.min[g]);
  }
};

/// The line of least error through (levels, x) with min >= 0. The error lacks sum(w x^2), the same for all lines.
template <int size>
Line fit(const float* x, const float* weight, const float* level, float w, float wx, float& error) {
  const float l = sum<size>([&](int i) { return load(weight + i) * load(level + i); });
  const float ll = sum<size>([&](int i) { return load(weight + i) * load(level + i) * load(level + i); });
  const float lx = sum<size>([&](int i) { return load(weight + i) * load(level + i) * load(x + i); });
  const float determinant = w * ll - l * l;
  Line line;
  if (determinant > 0) {
    line.scale = (w * lx - wx * l) / determinant;
    line.min = (l * lx - ll * wx) / determinant;
  }
  if (!(determinant > 0) || line.min < 0) {
    line.min = 0;
    line.scale = ll > 0 ? lx / ll : 0;
  }
  // Both are solutions of their normal equations, so the error is what they explain.
  error = line.min * wx - line.scale * lx;
  return line;
}

/// One group by itself: divisions of its range into a few more or fewer steps than there are codes, then fits in turn.
template <int size>
Line search_group(const float* x, const float* weight, float most) {
  float low = 0, high = x[0];
  for (int i = 0; i < size; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  if (!(high > low)) return {0, -low};
  const float w = sum<size>([&](int i) { return load(weight + i); }), wx = sum<size>([&](int i) { return load(weight + i) * load(x + i); });
  Line best{(high - low) / most, -low};
  float least = INFINITY;
  const auto consider = [&](float inverted, float min) {
    float level[size], error;
    fill<size>(level, [&](int i) { return nearest(inverted * (load(x + i) + min), 0, most); });
    const Line line = fit<size>(x, weight, level, w, wx, error);
    if (!(error < least) || !(line.scale > 0)) return false;
    least = error;
    best = line;
    return true;
  };
  const float reach = most < 4 ? 0.9f : 1.5f;
  for (int candidate = -10; candidate <= 6; ++candidate)
    consider((most + 0.1f * reach * static_cast<float>(candidate)) / (high - low), -low);
  // Cutting off both ends.
  for (float cut : {0.04f, 0.08f, 0.12f}) consider(most / ((high - low) * (1 - 2 * cut)), -low - cut * (high - low));
  for (int round = 0; round < 3; ++round)
    if (!consider(1.0f / best.scale, best.min)) break;
  return best;
}

template <int size>
float line_error(const float* x, const float* weight, float most, float step, float min) {
  const float inverted = inverse(step);
  return sum<size>([&](int i) {
    const Four shifted = load(x + i) + min;
    const Four difference = shifted - step * nearest(inverted * shifted, 0, most);
    return load(weight + i) * difference * difference;
  });
}

/// Chooses the groups' integers and the codes for given d and dmin, and returns the error.
template <int groups>
float choose_lines(const float* x, const float* weight, const GroupedLines& shape, const Line* wanted, Lines& out) {
  constexpr int size = kBlock / groups;
  const float d = to_float(out.block.d), dmin = to_float(out.block.dmin);
  const auto most = static_cast<float>(shape.max_code), most_scale = static_cast<float>(shape.max_scale);
  float total = 0;
  for (int g = 0; g < groups; ++g) {
    const float* xs = x + g * size;
    const float* ws = weight + g * size;
    const float scale = nearest(inverse(d) * wanted[g].scale, 0, most_scale);
    const float min = nearest(inverse(dmin) * wanted[g].min, 0, most_scale);
    float least = INFINITY, best_scale = scale, best_min = min;
    for (float s = std::max(scale - 1, 0.0f); s <= std::min(scale + 1, most_scale); ++s)
      for (float m = std::max(min - 1, 0.0f); m <= std::min(min + 1, most_scale); ++m) {
        const float error = line_error<size>(xs, ws, most, d * s, dmin * m);
        if (!(error < least)) continue;
        least = error;
        best_scale = s;
        best_min = m;
      }
    total += least;
    out.block.scale[g] = static_cast<std::uint8_t>(best_scale);
    out.block.min[g] = static_cast<std::uint8_t>(best_min);
    const float inverted = inverse(d * best_scale), offset = dmin * best_min;
    for (int i = 0; i < size; ++i)
      out.code[g * size + i] = static_cast<std::uint8_t>(nearest(inverted * (xs[i] + offset), 0, most));
  }
  return total;
}

/// d and dmin of least error for the integers and codes there are; false where they are not determined.
template <int groups>
bool refit(const float* x, const float* weight, Lines& lines) {
  constexpr int size = kBlock / groups;
  const GroupedLineBlock& block = lines.block;
  float step[kBlock], min[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    step[i] = static_cast<float>(block.scale[i / size]) * static_cast<float>(lines.code[i]);
    min[i] = static_cast<float>(block.min[i / size]);
  }
  const float ss = sum<kBlock>([&](int i) { return load(weight + i) * load(step + i) * load(step + i); });
  const float sm = sum<kBlock>([&](int i) { return load(weight + i) * load(step + i) * load(min + i); });
  const float mm = sum<kBlock>([&](int i) { return load(weight + i) * load(min + i) * load(min + i); });
  const float sx = sum<kBlock>([&](int i) { return load(weight + i) * load(step + i) * load(x + i); });
  const float mx = sum<kBlock>([&](int i) { return load(weight + i) * load(min + i) * load(x + i); });
  const float determinant = ss * mm - sm * sm;
  float d = ss > 0 ? sx / ss : 0, dmin = 0;
  if (determinant > 0) {
    d = (mm * sx - sm * mx) / determinant;
    dmin = (sm * sx - ss * mx) / determinant;
  }
  if (!(d > 0) || !(dmin >= 0)) return false;
  lines.block.d = to_half(d);
  lines.block.dmin = to_half(dmin);
  return true;
}

template <int groups>
Lines attempt_lines(const float* x, const float* weight, const GroupedLines& shape) {
  constexpr int size = kBlock / groups;
  Line wanted[groups];
  float largest_scale = 0, largest_min = 0;
  for (int g = 0; g < groups; ++g) {
    wanted[g] = search_group<size>(x + g * size, weight + g * size, static_cast<float>(shape.max_code));
    largest_scale = std::max(largest_scale, wanted[g].scale);
    largest_min = std::max(largest_min, wanted[g].min);
  }
  const auto most = static_cast<float>(shape.max_scale);
  Lines best{groups, {}, {}}, next{groups, {}, {}};
  next.block.d = to_half(largest_scale / most);
  next.block.dmin = to_half(largest_min / most);
  float least = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    const float error = choose_lines<groups>(x, weight, shape, wanted, next);
    if (round > 0 && !(error < least)) break;
    least = error;
    best = next;
    if (!refit<groups>(x, weight, next)) break;
  }
  return best;
}

}  // namespace

Half search_grouped_integer(const float x[256], const float* importance, int low, int low_scale, std::int8_t scales[16],
                            std::int8_t codes[256]) {
  const Grid grid = low == -4 ? Grid{0.5f, 1.2f, 0.05f, true} : Grid{0.97f, 1.03f, 0.003f, false};
  const auto found = search_grouped<16>(x, importance, Integers(low), grid, low_scale);
  for (int g = 0; g < 16; ++g) scales[g] = static_cast<std::int8_t>(found.scale[g]);
  for (int i = 0; i < kBlock; ++i) codes[i] = static_cast<std::int8_t>(found.level[i]);
  return found.d;
}

Half search_grouped_nonlinear(const float x[256], const float* importance, std::int8_t scales[8], std::uint8_t codes[256]) {
  const auto found = search_grouped<8>(x, importance, Nonlinear(), Grid{0.7f, 1.12f, 0.03f, true}, -32);
  for (int g = 0; g < 8; ++g) scales[g] = static_cast<std::int8_t>(found.scale[g]);
  for (int i = 0; i < kBlock; ++i) codes[i] = static_cast<std::uint8_t>(Nonlinear::code(found.level[i]));
  return found.d;
}

GroupedLineBlock search_grouped_lines(const float x[256], const float* importance, const GroupedLines& shape,
                                      std::uint8_t codes[256]) {
  const auto attempt = [&](const float* weight) {
    return shape.groups == 8 ? attempt_lines<8>(x, weight, shape) : attempt_lines<16>(x, weight, shape);
  };
  const Lines found =
      better_attempt<kBlock, Lines>(x, importance, attempt, [](const Lines& block, int i) { return block.value(i); });
  std::copy(found.code, found.code + kBlock, codes);
  return found.block;
}

}  // namespace strata::formats
