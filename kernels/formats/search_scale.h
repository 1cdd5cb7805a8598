// Owns: the search for one scale: x ~ scale * level with the level from a fixed set. Knows no block layout.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/formats/search.h"
#include "kernels/formats/search_sums.h"

namespace strata::formats::searching {

/// The levels low, low + 1 ... -low - 1.
struct Integers {
  explicit Integers(int lowest) : low(static_cast<float>(lowest)), high(-low - 1) {}
  Four operator()(Four value) const { return nearest(value, low, high); }
  float low, high;
};

/// Which level of kNonlinear is nearest: levels are at least 11 apart, so an interval [-127 + c, -126 + c) meets at most
/// one border between two of them.
struct NonlinearCells {
  static constexpr int kCells = 241;
  std::array<std::uint8_t, kCells> code{};  ///< below the border
  std::array<float, kCells> border{};
  constexpr NonlinearCells() {
    for (std::size_t c = 0; c < kCells; ++c) {
      const float begin = -127 + static_cast<float>(c);
      std::size_t at = 0;
      while (at < 15 && middle(at) < begin) ++at;
      code[c] = static_cast<std::uint8_t>(at);
      border[c] = at < 15 ? middle(at) : 1000.0f;
    }
  }

 private:
  static constexpr float middle(std::size_t i) {
    return (static_cast<float>(kNonlinear[i]) + static_cast<float>(kNonlinear[i + 1])) / 2;
  }
};
inline constexpr NonlinearCells kNonlinearCells;

/// The levels of kNonlinear.
struct Nonlinear {
  static constexpr float low = -127, high = 113;
  Four operator()(Four value) const { return Four{level(value[0]), level(value[1]), level(value[2]), level(value[3])}; }
  static float level(float value) { return static_cast<float>(kNonlinear[code(value)]); }
  static int code(float value) {
    value = value > low ? value : low;
    value = value < high ? value : high;
    const auto cell = static_cast<std::size_t>(static_cast<int>(value - low));
    return kNonlinearCells.code[cell] + (value > kNonlinearCells.border[cell] ? 1 : 0);
  }
};

/// Which scales are tried: those that take the largest element to level low * r and, where `both`, to high * r.
struct Grid {
  float from, to, step;  ///< of r
  bool both;
};

template <int n, class Levels>
float scale_error(const float* x, const float* weight, const Levels& levels, float scale) {
  const float inverted = inverse(scale);
  return sum<n>([&](int i) {
    const Four difference = load(x + i) - scale * levels(inverted * load(x + i));
    return load(weight + i) * difference * difference;
  });
}

/// The scale of least weighted squared error among those tried, after two rounds of fitting scale and levels in turn.
/// Sums of products decide: the error is sum(w x^2) - sum(w x l)^2 / sum(w l^2) at the best scale for levels l.
template <int n, class Levels>
float best_scale(const float* x, const float* weight, const Levels& levels, const Grid& grid) {
  float extreme = 0;
  for (int i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  if (!(std::fabs(extreme) > 1e-30f)) return 0;
  float most = 0, best = 0;
  const auto consider = [&](float inverted) {
    float level[n];
    fill<n>(level, [&](int i) { return levels(inverted * load(x + i)); });
    const float lx = sum<n>([&](int i) { return load(weight + i) * load(level + i) * load(x + i); });
    const float ll = sum<n>([&](int i) { return load(weight + i) * load(level + i) * load(level + i); });
    if (ll > 0 && lx * lx > most * ll) {
      most = lx * lx / ll;
      best = lx / ll;
      return true;
    }
    return false;
  };
  for (float ratio = grid.from; ratio <= grid.to; ratio += grid.step) {
    consider(levels.low * ratio / extreme);
    if (grid.both) consider(levels.high * ratio / extreme);
  }
  for (int round = 0; round < 2 && best != 0; ++round)
    if (!consider(1.0f / best)) break;
  return best;
}

}  // namespace strata::formats::searching
