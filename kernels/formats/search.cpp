// Owns: the searches of blocks of 32 elements. Knows no block layout.
#include "kernels/formats/search.h"

#include <algorithm>
#include <cmath>

#include "kernels/formats/search_scale.h"
#include "kernels/formats/search_sums.h"

namespace strata::formats {
namespace {

using namespace searching;

constexpr int kBlock = 32;

struct Scaled {
  Half d;
  float level[kBlock];
  float value(int i) const { return to_float(d) * level[i]; }
};

template <class Levels>
Scaled attempt_scale(const float* x, const float* weight, const Levels& levels, const Grid& grid) {
  Scaled out;
  out.d = to_half(best_scale<kBlock>(x, weight, levels, grid));
  const float inverted = inverse(to_float(out.d));
  fill<kBlock>(out.level, [&](int i) { return levels(inverted * load(x + i)); });
  return out;
}

template <class Levels>
Scaled search_scale(const float* x, const float* importance, const Levels& levels, const Grid& grid) {
  return better_attempt<kBlock, Scaled>(
      x, importance, [&](const float* weight) { return attempt_scale(x, weight, levels, grid); },
      [](const Scaled& block, int i) { return block.value(i); });
}

struct Line {
  float scale = 0, offset = 0;  ///< x ~ scale * code + offset
};

struct Lined {
  LineBlock line;
  std::uint8_t code[kBlock];
  float value(int i) const { return to_float(line.d) * static_cast<float>(code[i]) + to_float(line.m); }
};

/// The line of least weighted squared error through (levels, x); false where the levels are all the same.
bool fit(const float* x, const float* weight, const float* level, Line& line, float& error) {
  const float w = sum<kBlock>([&](int i) { return load(weight + i); });
  const float l = sum<kBlock>([&](int i) { return load(weight + i) * load(level + i); }) / w;
  const float v = sum<kBlock>([&](int i) { return load(weight + i) * load(x + i); }) / w;
  const float ll = sum<kBlock>([&](int i) { return load(weight + i) * (load(level + i) - l) * (load(level + i) - l); });
  const float lx = sum<kBlock>([&](int i) { return load(weight + i) * (load(level + i) - l) * (load(x + i) - v); });
  if (!(ll > 0)) return false;
  line.scale = lx / ll;
  line.offset = v - line.scale * l;
  error = -lx * line.scale;  // and sum(w (x - v)^2), the same for all lines
  return true;
}

Lined attempt_line(const float* x, const float* weight, int max_code) {
  float low = x[0], high = x[0];
  for (int i = 1; i < kBlock; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const auto most = static_cast<float>(max_code);
  Line best{(high - low) / most, low};
  if (high > low) {
    float least = INFINITY;
    const auto consider = [&](float inverted, float offset) {
      float level[kBlock], error;
      fill<kBlock>(level, [&](int i) { return nearest(inverted * (load(x + i) - offset), 0, most); });
      Line line;
      if (!fit(x, weight, level, line, error) || !(error < least) || !(line.scale > 0)) return false;
      least = error;
      best = line;
      return true;
    };
    // Ranges that leave out a little at both ends, up to a third of the whole, then fits in turn.
    for (int cut = -2; cut <= 16; ++cut) {
      const float share = static_cast<float>(cut) * 0.01f, range = high - low;
      consider(most / (range * (1 - 2 * share)), low + share * range);
    }
    for (int round = 0; round < 3; ++round)
      if (!consider(1.0f / best.scale, best.offset)) break;
  }
  Lined out;
  out.line.d = to_half(best.scale);
  out.line.m = to_half(best.offset);
  const float inverted = inverse(to_float(out.line.d)), offset = to_float(out.line.m);
  for (int i = 0; i < kBlock; ++i) out.code[i] = static_cast<std::uint8_t>(nearest(inverted * (x[i] - offset), 0, most));
  return out;
}

}  // namespace

Half search_integer(const float x[32], const float* importance, int low, std::int8_t codes[32]) {
  const Grid grid = low == -8 ? Grid{0.65f, 1.1f, 0.03f, true} : Grid{0.8f, 1.04f, 0.015f, true};
  const Scaled found = search_scale(x, importance, Integers(low), grid);
  for (int i = 0; i < kBlock; ++i) codes[i] = static_cast<std::int8_t>(found.level[i]);
  return found.d;
}

LineBlock search_line(const float x[32], const float* importance, int max_code, std::uint8_t codes[32]) {
  const Lined found = better_attempt<kBlock, Lined>(
      x, importance, [&](const float* weight) { return attempt_line(x, weight, max_code); },
      [](const Lined& block, int i) { return block.value(i); });
  std::copy(found.code, found.code + kBlock, codes);
  return found.line;
}

Half search_nonlinear(const float x[32], const float* importance, std::uint8_t codes[32]) {
  const Scaled found = search_scale(x, importance, Nonlinear(), Grid{0.7f, 1.12f, 0.03f, true});
  for (int i = 0; i < kBlock; ++i) codes[i] = static_cast<std::uint8_t>(Nonlinear::code(found.level[i]));
  return found.d;
}

}  // namespace strata::formats
