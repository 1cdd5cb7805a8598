// Owns: passes over the logits of a whole vocabulary: the best ones, the sums of their weights. Knows no options.
//
// A vocabulary is walked in blocks. The first pass finds each block's best logit; whoever looks for good tokens then
// reads few blocks. Sums have an order of their own, whatever the machine: eight lanes in a block, blocks in turn.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "strata/strata.h"

namespace strata {

inline constexpr float kLowestLogit = -std::numeric_limits<float>::infinity();

struct Candidate {
  float logit;
  Token id;
};

/// The order of rank: higher logits first, then lower ids.
inline bool better(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

/// 1/13!, 1/12!, ... 1/0!: the factorials are exact, so each is one correctly rounded division.
inline constexpr auto kInverseFactorials = [] {
  std::array<double, 14> out{};
  double factorial = 1.0;
  for (int n = 0; n < 14; ++n) {
    if (n > 0) factorial *= n;
    out[static_cast<std::size_t>(13 - n)] = 1.0 / factorial;
  }
  return out;
}();

/// Two doubles: every machine has such registers, and compilers take loops with a choice in them apart.
using Pair = double __attribute__((vector_size(16)));
using PairBits = std::int64_t __attribute__((vector_size(16)));

/// e^x for x <= 0, to about 1e-16 relative; 0 below -708, where the result would be subnormal, and for NaN.
inline Pair exp_of(Pair x) {
  constexpr double log2_e = 1.4426950408889634074, ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
  constexpr double rounder = 0x1.8p52;  // x + rounder has the integer nearest to x in its low bits
  const auto normal = std::bit_cast<PairBits>(x > -708.0);
  const Pair clamped = std::bit_cast<Pair>(std::bit_cast<PairBits>(x) & normal);
  const Pair rounded = clamped * log2_e + rounder, k = rounded - rounder;
  const Pair r = (clamped - k * ln2_high) - k * ln2_low;  // |r| <= ln(2)/2
  // Taylor series by Horner's rule, odd and even powers apart, so that neither waits for the other; 1 for 0.
  const Pair r2 = r * r;
  Pair odd = {0.0, 0.0}, even = {0.0, 0.0};
  for (std::size_t n = 0; n < kInverseFactorials.size(); n += 2) {
    odd = kInverseFactorials[n] + odd * r2;
    even = kInverseFactorials[n + 1] + even * r2;
  }
  const Pair scaled = (even + odd * r) * std::bit_cast<Pair>((std::bit_cast<PairBits>(rounded) + 1023) << 52);
  return std::bit_cast<Pair>(std::bit_cast<PairBits>(scaled) & normal);
}
inline double exp_of(double x) { return exp_of(Pair{x, x})[0]; }

/// 1 / temperature, finite: below 1e-300 a temperature is as good as greedy.
inline double inverse_of(float temperature) { return 1.0 / std::max(static_cast<double>(temperature), 1e-300); }

/// The probability of a logit relative to that of the best, which is finite.
inline double weight(float logit, float best, double inverse_temperature) {
  return exp_of((static_cast<double>(logit) - static_cast<double>(best)) * inverse_temperature);
}
/// The best's own probability where it is infinite, too.
inline double any_weight(float logit, float best, double inverse_temperature) {
  return logit == best ? 1.0 : weight(logit, best, inverse_temperature);
}

class LogitBlocks {
 public:
  /// The logits stay where they are until the last call; NaN counts as absent.
  void scan(std::span<const float> logits);

  float best() const { return best_of_all_; }
  Token first_best() const;
  /// A logit that at least k tokens reach, and not many more; -infinity when blocks say too little.
  float reached_by(int k);
  /// All tokens of at least this logit, by id.
  void collect(double least, std::vector<Candidate>& out) const;
  /// The sum of all weights.
  double total(double inverse_temperature);
  /// The token at which the running sum passes `uniform` of the whole, 0 <= uniform < 1.
  Token draw(double inverse_temperature, double uniform);

 private:
  static constexpr std::size_t kBlock = 256;

  std::span<const float> block(std::size_t b) const;
  /// Sets the weights of block b.
  void weigh(std::size_t b, double inverse_temperature, std::array<double, kBlock>& weights) const;

  std::span<const float> logits_;
  std::vector<float> best_, order_;  ///< by block; scratch
  std::vector<double> sums_;         ///< by block
  float best_of_all_ = kLowestLogit;
};

}  // namespace strata
