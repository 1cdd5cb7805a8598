// Owns: turning logits into a token: bias, penalties, filters, temperature, draw. Knows no model and no session.
//
// The same options, logits and accepted tokens give the same token on every platform: exp and log are sums and products
// of doubles in a fixed order (IEEE 754 basic operations, no contraction), the random numbers are integers, equal logits
// rank by lower id, and the draw walks the surviving tokens in the order of their ids. Nothing is sorted but what a
// filter keeps: passes over the whole vocabulary are those of logit_passes.h.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "runtime/logit_passes.h"
#include "strata/strata.h"

namespace strata {
namespace {

constexpr float lowest = kLowestLogit;
constexpr double infinity = std::numeric_limits<double>::infinity();

bool by_id(const Candidate& a, const Candidate& b) { return a.id < b.id; }

/// ln(x) for normal x > 0, to about 1e-16: ln(2^e m) = e ln 2 + 2 artanh((m-1)/(m+1)), m in [sqrt(1/2), sqrt(2)).
double log_of(double x) {
  auto bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.4142135623730951) m *= 0.5, ++exponent;
  double s = (m - 1.0) / (m + 1.0), s2 = s * s;  // |s| <= 0.172
  double sum = 0.0;
  for (int n = 25; n >= 1; n -= 2) sum = 1.0 / n + s2 * sum;
  return exponent * 0.6931471805599453094 + 2.0 * s * sum;
}

float best_logit(const std::vector<Candidate>& all) {
  float best = lowest;
  for (const Candidate& c : all) best = std::max(best, c.logit);
  return best;
}

Token best_id(const std::vector<Candidate>& all) { return std::min_element(all.begin(), all.end(), better)->id; }

/// Moves the shortest run of candidates in the order of `before` whose weights reach `share` of the total to the front
/// and drops the rest. A heap gives that order one by one, so the cost follows what is kept, not the vocabulary.
template <class Item, class Before, class Weight>
void keep_share(std::vector<Item>& all, double total, double share, Before before, Weight weight_of) {
  auto after = [&](const Item& a, const Item& b) { return before(b, a); };  // heaps put their largest first
  std::make_heap(all.begin(), all.end(), after);
  std::vector<Item> kept;
  double sum = 0.0;
  while (!all.empty()) {
    std::pop_heap(all.begin(), all.end(), after);
    kept.push_back(all.back());
    all.pop_back();
    sum += weight_of(kept.back());
    if (sum >= share * total) break;
  }
  all = std::move(kept);
}

/// `all`: at least the k best, by id.
void apply_top_k(std::vector<Candidate>& all, int k) {
  if (static_cast<std::size_t>(k) >= all.size()) return;
  std::nth_element(all.begin(), all.begin() + k - 1, all.end(), better);
  all.resize(static_cast<std::size_t>(k));
  std::sort(all.begin(), all.end(), by_id);  // sums below run in the order of ids
}

double total_weight(const std::vector<Candidate>& all, float best) {
  double total = 0.0;
  for (const Candidate& c : all) total += any_weight(c.logit, best, 1.0);
  return total;
}

/// arXiv:2202.00666: the tokens whose information content is nearest to the entropy.
void apply_typical(std::vector<Candidate>& all, float share) {
  struct Item {
    Candidate candidate;
    double probability, distance;
  };
  float best = best_logit(all);
  double total = total_weight(all, best), log_total = log_of(total), entropy = 0.0;
  std::vector<Item> items;
  for (const Candidate& c : all) {
    double p = any_weight(c.logit, best, 1.0) / total;
    if (p == 0.0) continue;
    double information = log_total - (c.logit == best ? 0.0 : static_cast<double>(c.logit) - best);
    entropy += p * information;
    items.push_back({c, p, information});
  }
  for (Item& item : items) item.distance = std::fabs(item.distance - entropy);
  keep_share(items, 1.0, share,
             [](const Item& a, const Item& b) {
               return a.distance != b.distance ? a.distance < b.distance : a.candidate.id < b.candidate.id;
             },
             [](const Item& item) { return item.probability; });
  all.clear();
  for (const Item& item : items) all.push_back(item.candidate);
  std::sort(all.begin(), all.end(), by_id);
}

/// arXiv:1904.09751: the smallest set of best tokens that holds this share of the probability.
void apply_top_p(std::vector<Candidate>& all, float share) {
  float best = best_logit(all);
  keep_share(all, total_weight(all, best), share, better,
             [&](const Candidate& c) { return any_weight(c.logit, best, 1.0); });
  std::sort(all.begin(), all.end(), by_id);
}

/// The same for a whole vocabulary: looks among the best ones first. Those below `least` may be left out.
void collect_top_p(LogitBlocks& blocks, float share, double least, std::vector<Candidate>& all) {
  const float best = blocks.best();
  const double total = blocks.total(1.0);
  for (double gap = 8.0;; gap *= 2) {
    const double bound = best - gap;
    blocks.collect(std::max(bound, least), all);
    // With room for what another order of the sum may round off; no share is nearer to 1 than 6e-8.
    if (!(bound > least) || gap > 708.0 || total_weight(all, best) >= (static_cast<double>(share) + 1e-9) * total) break;
  }
  keep_share(all, total, share, better, [&](const Candidate& c) { return any_weight(c.logit, best, 1.0); });
  std::sort(all.begin(), all.end(), by_id);
}

/// arXiv:2407.01082: the tokens that have at least this share of the best one's probability.
void apply_min_p(std::vector<Candidate>& all, float share) {
  const float best = best_logit(all);
  const double least = log_of(static_cast<double>(share));  // p >= share p_best, in logits
  std::erase_if(all, [&](const Candidate& c) { return c.logit != best && static_cast<double>(c.logit) - best < least; });
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix(seed + step)) {}
  /// Uniform in [0, 1), a multiple of 2^-53.
  double next() { return static_cast<double>(mix(state_ += step) >> 11) * 0x1p-53; }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15u;
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

Token draw(const std::vector<Candidate>& all, float temperature, double uniform) {
  const float best = best_logit(all);
  const double inverse = inverse_of(temperature);
  std::vector<double> sums(all.size());
  double sum = 0.0;
  for (std::size_t i = 0; i < all.size(); ++i) sums[i] = sum += any_weight(all[i].logit, best, inverse);
  // The first candidate whose running sum passes the target; it has a weight above 0. uniform < 1, so there is one,
  // save where the product rounds up to the sum: then it is the last that has a weight.
  auto found = std::upper_bound(sums.begin(), sums.end(), uniform * sum);
  if (found == sums.end()) found = std::lower_bound(sums.begin(), sums.end(), sum);
  return all[static_cast<std::size_t>(found - sums.begin())].id;
}

}  // namespace

struct Sampler::State {
  SamplerOptions options;
  Random random;
  std::deque<Token> recent;               // the last `penalty_last` tokens
  std::unordered_map<Token, int> counts;  // of each of them
  LogitBlocks blocks;                     // these three are kept for their capacity
  std::vector<float> adjusted;
  std::vector<Candidate> candidates;

  explicit State(SamplerOptions o) : options(std::move(o)), random(options.seed) {}

  bool penalises() const {
    return options.repetition_penalty != 1.0f || options.frequency_penalty != 0.0f || options.presence_penalty != 0.0f;
  }

  /// The logits with bias and penalties; those given where there is neither.
  std::span<const float> adjust(std::span<const float> logits) {
    if (options.logit_bias.empty() && !(penalises() && !counts.empty())) return logits;
    adjusted.assign(logits.begin(), logits.end());
    auto change = [&](Token id, auto formula) {
      if (id < 0 || static_cast<std::size_t>(id) >= adjusted.size()) return;
      float& logit = adjusted[static_cast<std::size_t>(id)];
      logit = formula(std::isnan(logit) ? lowest : logit);
      if (std::isnan(logit)) logit = lowest;  // infinity - infinity: the ban wins
    };
    for (const auto& [id, bias] : options.logit_bias) change(id, [bias = bias](float logit) { return logit + bias; });
    if (penalises())
      for (const auto& [id, count] : counts)
        change(id, [&, count = count](float logit) {
          logit = logit > 0.0f ? logit / options.repetition_penalty : logit * options.repetition_penalty;
          return logit - (static_cast<float>(count) * options.frequency_penalty + options.presence_penalty);
        });
    return adjusted;
  }
};

Sampler::Sampler(SamplerOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Result<void> Sampler::check(const SamplerOptions& o) {
  auto bad = [](const char* option, auto value, const char* range) {
    return fail(ErrorCode::invalid_argument, option, " is ", value, "; it must be ", range);
  };
  auto finite = [](float x) { return std::isfinite(x); };
  for (const auto& [id, bias] : o.logit_bias)
    if (id < 0 || std::isnan(bias)) return bad("logit_bias of a token", bias, "a number, for an id from 0 on");
  if (o.penalty_last < 0) return bad("penalty_last", o.penalty_last, "0 or more");
  if (!finite(o.repetition_penalty) || o.repetition_penalty <= 0)
    return bad("repetition_penalty", o.repetition_penalty, "above 0");
  if (!finite(o.frequency_penalty)) return bad("frequency_penalty", o.frequency_penalty, "a finite number");
  if (!finite(o.presence_penalty)) return bad("presence_penalty", o.presence_penalty, "a finite number");
  if (o.top_k < 0) return bad("top_k", o.top_k, "0 (all) or more");
  if (!(o.typical_p > 0 && o.typical_p <= 1)) return bad("typical_p", o.typical_p, "above 0 and at most 1");
  if (!(o.top_p > 0 && o.top_p <= 1)) return bad("top_p", o.top_p, "above 0 and at most 1");
  if (!(o.min_p >= 0 && o.min_p <= 1)) return bad("min_p", o.min_p, "from 0 to 1");
  if (!finite(o.temperature) || o.temperature < 0) return bad("temperature", o.temperature, "0 (greedy) or more");
  return {};
}

// NaN counts as -infinity. Where no token is left (all logits are -infinity, or there are none) the answer is id 0.
Token Sampler::sample(std::span<const float> given) {
  const SamplerOptions& o = state_->options;
  LogitBlocks& blocks = state_->blocks;
  std::vector<Candidate>& all = state_->candidates;
  const std::span<const float> logits = state_->adjust(given);
  blocks.scan(logits);
  const bool greedy = !(o.temperature > 0.0f);
  const double uniform = greedy ? 0.0 : state_->random.next();  // one number for each token, whatever is left of it
  if (blocks.best() == lowest) return 0;
  if (greedy && o.typical_p >= 1.0f) return blocks.first_best();  // the other filters never drop the best
  const bool few = o.top_k > 0 && static_cast<std::size_t>(o.top_k) < logits.size();
  if (!few && o.typical_p >= 1.0f && o.top_p >= 1.0f && !(o.min_p > 0.0f))
    return blocks.draw(inverse_of(o.temperature), uniform);
  if (!few && o.typical_p >= 1.0f) {
    // A little below min_p's bound, which apply_min_p draws exactly.
    const double least = o.min_p > 0.0f ? blocks.best() + log_of(static_cast<double>(o.min_p)) * 1.001 - 0.001 : -infinity;
    if (o.top_p < 1.0f) collect_top_p(blocks, o.top_p, least, all);
    else blocks.collect(least, all);
  } else {
    blocks.collect(few ? static_cast<double>(blocks.reached_by(o.top_k)) : -infinity, all);
    if (few) apply_top_k(all, o.top_k);
    if (o.typical_p < 1.0f) apply_typical(all, o.typical_p);
    if (greedy) return best_id(all);
    if (o.top_p < 1.0f) apply_top_p(all, o.top_p);
  }
  if (o.min_p > 0.0f) apply_min_p(all, o.min_p);
  return draw(all, o.temperature, uniform);
}

void Sampler::accept(Token token) {
  const int window = state_->options.penalty_last;
  if (window <= 0) return;
  std::deque<Token>& recent = state_->recent;
  std::unordered_map<Token, int>& counts = state_->counts;
  recent.push_back(token);
  ++counts[token];
  if (recent.size() <= static_cast<std::size_t>(window)) return;
  auto oldest = counts.find(recent.front());
  if (--oldest->second == 0) counts.erase(oldest);
  recent.pop_front();
}

void Sampler::reset() {
  state_->recent.clear();
  state_->counts.clear();
  state_->random = Random(state_->options.seed);
}

const SamplerOptions& Sampler::options() const { return state_->options; }

}  // namespace strata
