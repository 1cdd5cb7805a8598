// Owns: the loops behind logit_passes.h. Knows no options.
#include "runtime/logit_passes.h"

#include <algorithm>
#include <functional>

namespace strata {

namespace {

/// Sixteen running maxima, which compilers keep in registers. NaN is never above anything.
float best_of(std::span<const float> x) {
  constexpr std::size_t lanes = 16;
  std::array<float, lanes> best;
  best.fill(kLowestLogit);
  std::size_t i = 0;
  for (; i + lanes <= x.size(); i += lanes)
    for (std::size_t j = 0; j < lanes; ++j) best[j] = x[i + j] > best[j] ? x[i + j] : best[j];
  for (; i < x.size(); ++i) best[0] = x[i] > best[0] ? x[i] : best[0];
  for (float other : best) best[0] = other > best[0] ? other : best[0];
  return best[0];
}

}  // namespace

std::span<const float> LogitBlocks::block(std::size_t b) const {
  return logits_.subspan(b * kBlock, std::min(kBlock, logits_.size() - b * kBlock));
}

void LogitBlocks::scan(std::span<const float> logits) {
  logits_ = logits;
  best_.resize((logits.size() + kBlock - 1) / kBlock);
  best_of_all_ = kLowestLogit;
  for (std::size_t b = 0; b < best_.size(); ++b) {
    best_[b] = best_of(block(b));
    best_of_all_ = std::max(best_of_all_, best_[b]);
  }
}

Token LogitBlocks::first_best() const {
  const std::size_t b = static_cast<std::size_t>(std::find(best_.begin(), best_.end(), best_of_all_) - best_.begin());
  const auto x = block(b);
  return static_cast<Token>(b * kBlock + static_cast<std::size_t>(std::find(x.begin(), x.end(), best_of_all_) - x.begin()));
}

float LogitBlocks::reached_by(int k) {
  if (static_cast<std::size_t>(k) > best_.size()) return kLowestLogit;
  order_ = best_;
  std::nth_element(order_.begin(), order_.begin() + (k - 1), order_.end(), std::greater<>());
  return order_[static_cast<std::size_t>(k - 1)];
}

void LogitBlocks::collect(double least, std::vector<Candidate>& out) const {
  out.clear();
  for (std::size_t b = 0; b < best_.size(); ++b) {
    if (!(static_cast<double>(best_[b]) >= least)) continue;
    Token id = static_cast<Token>(b * kBlock);
    for (float logit : block(b)) {
      if (static_cast<double>(logit) >= least) out.push_back({logit, id});
      ++id;
    }
  }
}

void LogitBlocks::weigh(std::size_t b, double inverse_temperature, std::array<double, kBlock>& weights) const {
  const auto x = block(b);
  const double best = static_cast<double>(best_of_all_);
  weights.fill(0.0);
  if (best_of_all_ == -kLowestLogit) {
    for (std::size_t i = 0; i < x.size(); ++i) weights[i] = x[i] == best_of_all_ ? 1.0 : 0.0;
    return;
  }
  std::size_t i = 0;
  for (; i + 2 <= x.size(); i += 2) {
    const Pair both = {static_cast<double>(x[i]), static_cast<double>(x[i + 1])};
    const Pair w = exp_of((both - best) * inverse_temperature);
    weights[i] = w[0], weights[i + 1] = w[1];
  }
  if (i < x.size()) weights[i] = weight(x[i], best_of_all_, inverse_temperature);
}

double LogitBlocks::total(double inverse_temperature) {
  constexpr std::size_t lanes = 8;
  std::array<double, kBlock> weights;
  sums_.resize(best_.size());
  double total = 0.0;
  for (std::size_t b = 0; b < best_.size(); ++b) {
    weigh(b, inverse_temperature, weights);
    std::array<double, lanes> lane{};
    for (std::size_t i = 0; i < kBlock; i += lanes)
      for (std::size_t j = 0; j < lanes; ++j) lane[j] += weights[i + j];
    sums_[b] = ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    total += sums_[b];
  }
  return total;
}

Token LogitBlocks::draw(double inverse_temperature, double uniform) {
  const double target = uniform * total(inverse_temperature);
  std::array<double, kBlock> weights;
  Token last = first_best();
  double before = 0.0;
  for (std::size_t b = 0; b < best_.size(); before += sums_[b++]) {
    if (!(before + sums_[b] > target)) continue;
    weigh(b, inverse_temperature, weights);
    double sum = before;
    for (std::size_t i = 0; i < block(b).size(); ++i) {
      if (weights[i] == 0.0) continue;
      last = static_cast<Token>(b * kBlock + i);
      if ((sum += weights[i]) > target) return last;
    }
    return last;  // rounding kept the running sum from the block's own
  }
  return last;
}

}  // namespace strata
