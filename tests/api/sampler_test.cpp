// Owns: tests of Sampler: each filter against plain sorting, the draw's distribution, reproducibility, edge cases.
// Knows only the public API.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "strata/strata.h"
#include "support/catch.h"

using namespace strata;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(int count, unsigned seed, float spread = 3.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> logits(static_cast<std::size_t>(count));
  for (float& logit : logits) logit = normal(random);
  return logits;
}

struct Ranked {
  int id;
  double logit, probability;
};

/// Ids in the order of rank, with their softmax over just these ids.
std::vector<Ranked> ranked(const std::vector<float>& logits, const std::set<int>& ids) {
  std::vector<Ranked> all;
  double total = 0;
  for (int id : ids) total += std::exp(static_cast<double>(logits[id]));
  for (int id : ids) all.push_back({id, logits[id], std::exp(static_cast<double>(logits[id])) / total});
  std::stable_sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) { return a.logit > b.logit; });
  return all;
}

/// The filters as their papers say it, by full sorts.
std::set<int> reference_survivors(const std::vector<float>& logits, const SamplerOptions& o) {
  std::set<int> ids;
  for (std::size_t i = 0; i < logits.size(); ++i) ids.insert(static_cast<int>(i));
  if (o.top_k > 0) {
    auto all = ranked(logits, ids);
    ids.clear();
    for (int i = 0; i < std::min<int>(o.top_k, static_cast<int>(all.size())); ++i) ids.insert(all[i].id);
  }
  if (o.typical_p < 1) {
    auto all = ranked(logits, ids);
    double entropy = 0, sum = 0;
    for (auto& r : all) entropy -= r.probability * std::log(r.probability);
    std::stable_sort(all.begin(), all.end(), [&](const Ranked& a, const Ranked& b) {
      return std::fabs(-std::log(a.probability) - entropy) < std::fabs(-std::log(b.probability) - entropy);
    });
    ids.clear();
    for (auto& r : all) {
      ids.insert(r.id);
      if ((sum += r.probability) >= o.typical_p) break;
    }
  }
  if (o.top_p < 1) {
    double sum = 0;
    auto all = ranked(logits, ids);
    ids.clear();
    for (auto& r : all) {
      ids.insert(r.id);
      if ((sum += r.probability) >= o.top_p) break;
    }
  }
  if (o.min_p > 0) {
    auto all = ranked(logits, ids);
    for (auto& r : all)
      if (r.probability < o.min_p * all.front().probability) ids.erase(r.id);
  }
  return ids;
}

/// The ids that come up when survivors are made almost equally likely; 60 expected hits for each.
std::set<int> sampled_survivors(const std::vector<float>& logits, SamplerOptions o) {
  o.temperature = 1000.0f;
  Sampler sampler(o);
  std::set<int> seen;
  for (std::size_t i = 0; i < 60 * logits.size(); ++i) seen.insert(sampler.sample(logits));
  return seen;
}

void compare_survivors(const SamplerOptions& o) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    auto logits = random_logits(60, seed, seed % 2 ? 3.0f : 0.7f);
    INFO("seed " << seed);
    CHECK(sampled_survivors(logits, o) == reference_survivors(logits, o));
  }
}

std::vector<Token> draws(const SamplerOptions& o, const std::vector<float>& logits, int count) {
  Sampler sampler(o);
  std::vector<Token> out;
  for (int i = 0; i < count; ++i) out.push_back(sampler.sample(logits));
  return out;
}

/// The sampler as the papers say it: full sorts, sums in order, the C library's exp. Its random numbers are SplitMix64.
class PlainSampler {
 public:
  explicit PlainSampler(SamplerOptions o) : o_(std::move(o)), state_(mix(o_.seed + kStep)) {}

  Token sample(std::vector<float> logits) {
    for (auto [id, bias] : o_.logit_bias)
      if (static_cast<std::size_t>(id) < logits.size()) logits[static_cast<std::size_t>(id)] += bias;
    for (Token id : std::set<Token>(recent_.begin(), recent_.end())) {
      float& logit = logits[static_cast<std::size_t>(id)];
      logit = logit > 0 ? logit / o_.repetition_penalty : logit * o_.repetition_penalty;
      logit -= static_cast<float>(std::count(recent_.begin(), recent_.end(), id)) * o_.frequency_penalty + o_.presence_penalty;
    }
    for (float& logit : logits)
      if (std::isnan(logit)) logit = -infinity;
    std::vector<int> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return logits[a] > logits[b]; });
    if (o_.temperature == 0) return ids[0];
    const double uniform = static_cast<double>(mix(state_ += kStep) >> 11) * 0x1p-53;
    if (o_.top_k > 0) ids.resize(std::min(ids.size(), static_cast<std::size_t>(o_.top_k)));
    const double best = logits[ids[0]];
    auto weight = [&](int id, double temperature) { return std::exp((logits[id] - best) / temperature); };
    if (o_.top_p < 1) {
      double total = 0, sum = 0;
      for (int id : ids) total += weight(id, 1);
      std::size_t kept = 0;
      while (kept < ids.size() && sum < o_.top_p * total) sum += weight(ids[kept++], 1);
      ids.resize(kept);
    }
    std::erase_if(ids, [&](int id) { return o_.min_p > 0 && logits[id] - best < std::log(static_cast<double>(o_.min_p)); });
    std::sort(ids.begin(), ids.end());
    double total = 0, sum = 0;
    for (int id : ids) total += weight(id, o_.temperature);
    for (int id : ids)
      if ((sum += weight(id, o_.temperature)) > uniform * total) return id;
    return ids.back();
  }

  void accept(Token token) {
    recent_.push_back(token);
    if (recent_.size() > static_cast<std::size_t>(o_.penalty_last)) recent_.erase(recent_.begin());
  }

 private:
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  SamplerOptions o_;
  std::uint64_t state_;
  std::vector<Token> recent_;
};

}  // namespace

TEST_CASE("tokens are those of full sorts, for vocabularies of any size") {
  std::vector<SamplerOptions> all(12);
  for (std::size_t i = 1; i < all.size(); ++i) all[i].temperature = 0.8f;
  all[2].temperature = 1.7f;
  all[3].top_k = 40;
  all[4].top_k = 1000;
  all[5].top_p = 0.95f;
  all[6].top_p = 0.9999f;
  all[7].min_p = 0.05f;
  all[8].top_p = 0.95f, all[8].min_p = 0.02f;
  all[9].top_k = 40, all[9].top_p = 0.95f, all[9].min_p = 0.05f;
  all[10].top_k = 50, all[10].repetition_penalty = 1.3f, all[10].frequency_penalty = 0.3f, all[10].presence_penalty = 0.1f;
  all[11].logit_bias = {{0, 6.0f}, {3, -infinity}}, all[11].frequency_penalty = 0.5f;
  for (int vocabulary : {5, 255, 256, 257, 5000, 32003, 262144})
    for (std::size_t i = 0; i < all.size(); ++i) {
      CAPTURE(vocabulary, i);
      all[i].seed = i;
      Sampler fast(all[i]);
      PlainSampler plain(all[i]);
      const int draws = vocabulary > 100000 ? 4 : vocabulary > 10000 ? 12 : 60;
      for (int draw = 0; draw < draws; ++draw) {
        auto logits = random_logits(vocabulary, static_cast<unsigned>(draw), draw % 2 ? 3.0f : 0.5f);
        for (int peak = 0; peak < 5; ++peak) logits[static_cast<std::size_t>((draw * 7919 + peak * 104729) % vocabulary)] += 9;
        logits[static_cast<std::size_t>(draw) % logits.size()] = std::nanf("");
        logits[static_cast<std::size_t>(draw + 1) % logits.size()] = -infinity;
        const Token got = fast.sample(logits);
        REQUIRE(got == plain.sample(logits));
        fast.accept(got);
        plain.accept(got);
      }
    }
}

TEST_CASE("a vocabulary of equal logits has its first tokens kept and every one drawn") {
  SamplerOptions o;
  o.temperature = 1.0f;
  std::vector<float> logits(100000, 2.0f);
  Token least = 100000, most = 0;
  for (Token t : draws(o, logits, 200)) least = std::min(least, t), most = std::max(most, t);
  CHECK(least < 5000);
  CHECK(most > 95000);
  o.top_k = 300;
  for (Token t : draws(o, logits, 50)) CHECK(t < 300);
  o.top_k = 0, o.top_p = 0.5f;
  for (Token t : draws(o, logits, 20)) CHECK(t <= 50000);
}

TEST_CASE("the default sampler is greedy and takes the first of equal logits") {
  Sampler sampler;
  CHECK(sampler.sample(std::vector<float>{0, 3, 3, 1}) == 1);
  auto logits = random_logits(5000, 7);
  CHECK(sampler.sample(logits) == std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST_CASE("greedy ignores the filters that always keep the best") {
  SamplerOptions o;
  o.top_k = 3, o.top_p = 0.1f, o.min_p = 0.9f;
  auto logits = random_logits(500, 8);
  CHECK(Sampler(o).sample(logits) == std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST_CASE("each filter keeps what a full sort keeps") {
  SamplerOptions o;
  SECTION("none") { compare_survivors(o); }
  SECTION("top_k") {
    for (int k : {1, 2, 17, 59, 60, 200}) o.top_k = k, compare_survivors(o);
  }
  SECTION("typical_p") {
    for (float p : {0.05f, 0.5f, 0.9f, 0.999f}) o.typical_p = p, compare_survivors(o);
  }
  SECTION("top_p") {
    for (float p : {0.01f, 0.5f, 0.9f, 0.999f}) o.top_p = p, compare_survivors(o);
  }
  SECTION("min_p") {
    for (float p : {0.01f, 0.1f, 0.5f, 1.0f}) o.min_p = p, compare_survivors(o);
  }
  SECTION("all of them, in the order of the fields") {
    o.top_k = 30, o.typical_p = 0.9f, o.top_p = 0.8f, o.min_p = 0.05f;
    compare_survivors(o);
  }
}

TEST_CASE("greedy with typical_p takes the best of the typical tokens") {
  // Entropy 1.02 nats, information 0.69, 1.20, 1.61: the middle one is the most typical.
  std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  SamplerOptions o;
  o.typical_p = 0.2f;
  CHECK(Sampler(o).sample(logits) == 1);
}

TEST_CASE("equal logits rank by lower id in top_k and top_p") {
  std::vector<float> logits(20, 1.5f);
  SamplerOptions o;
  o.top_k = 4;
  CHECK(sampled_survivors(logits, o) == std::set<int>{0, 1, 2, 3});
  o.top_k = 0, o.top_p = 0.249f;
  CHECK(sampled_survivors(logits, o) == std::set<int>{0, 1, 2, 3, 4});
}

TEST_CASE("the draw follows the softmax at its temperature") {
  const std::vector<float> logits{0.0f, 1.0f, -1.0f, 2.0f, 0.5f, 1.5f, -0.5f, 0.25f};
  for (float temperature : {0.5f, 1.0f, 2.0f})
    for (std::uint64_t seed : {0u, 1u, 12345u}) {
      SamplerOptions o;
      o.temperature = temperature, o.seed = seed;
      constexpr int n = 40000;
      std::vector<int> counts(logits.size());
      for (Token t : draws(o, logits, n)) ++counts[t];
      double total = 0, chi2 = 0;
      for (float l : logits) total += std::exp(l / temperature);
      for (std::size_t i = 0; i < logits.size(); ++i) {
        double expected = n * std::exp(logits[i] / temperature) / total;
        chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
      }
      INFO("temperature " << temperature << " seed " << seed);
      CHECK(chi2 < 24.32);  // 7 degrees of freedom, p = 0.001
    }
}

TEST_CASE("a seed gives the same tokens everywhere") {
  // Computed by an independent program (Python, full sorts).
  std::vector<float> logits(100);
  for (int i = 0; i < 100; ++i) logits[i] = static_cast<float>(i * 37 % 101) / 8.0f;
  SamplerOptions o;
  o.temperature = 0.8f, o.top_k = 40, o.top_p = 0.95f, o.min_p = 0.05f, o.seed = 42;
  CHECK(draws(o, logits, 24) == std::vector<Token>{30, 90, 49, 8,  60, 8,  27, 68, 19, 68, 60, 19,
                                                   30, 30, 90, 79, 57, 49, 60, 19, 60, 98, 79, 8});
  o = {};
  o.temperature = 1.5f;
  CHECK(draws(o, logits, 24) == std::vector<Token>{62, 68, 38, 62, 79, 19, 79, 30, 38, 57, 38, 16,
                                                   8,  57, 57, 35, 68, 79, 87, 8,  98, 60, 60, 79});
  o = {};
  o.temperature = 1.0f, o.top_p = 0.9f, o.seed = std::numeric_limits<std::uint64_t>::max();
  CHECK(draws(o, logits, 24) == std::vector<Token>{35, 76, 49, 90, 49, 19, 90, 68, 8,  90, 79, 5,
                                                   98, 98, 30, 19, 60, 38, 57, 76, 60, 19, 30, 79});
}

TEST_CASE("reset restarts the random sequence and forgets tokens") {
  auto logits = random_logits(50, 3);
  SamplerOptions o;
  o.temperature = 1.0f, o.seed = 5, o.frequency_penalty = 2.0f;
  Sampler sampler(o);
  auto run = [&] {
    std::vector<Token> out;
    for (int i = 0; i < 30; ++i) out.push_back(sampler.sample(logits)), sampler.accept(out.back());
    return out;
  };
  auto first = run();
  CHECK(run() != first);
  sampler.reset();
  CHECK(run() == first);
}

TEST_CASE("logit_bias forces and bans") {
  std::vector<float> logits{5, 4, 3, 2};
  SamplerOptions o;
  o.logit_bias = {{0, -infinity}, {2, 1.5f}, {99, 100.0f}};  // an id beyond the vocabulary changes nothing
  CHECK(Sampler(o).sample(logits) == 2);
  o.logit_bias = {{0, -infinity}};
  o.temperature = 100.0f;
  CHECK(sampled_survivors(logits, o) == std::set<int>{1, 2, 3});
  o.logit_bias = {{0, -infinity}};
  o.temperature = 0;
  CHECK(Sampler(o).sample(std::vector<float>{infinity, 1, 2}) == 2);
}

TEST_CASE("penalties change seen tokens within their window") {
  auto after = [](SamplerOptions o, std::vector<Token> seen, std::vector<float> logits) {
    Sampler sampler(o);
    for (Token t : seen) sampler.accept(t);
    return sampler.sample(logits);
  };
  SamplerOptions o;
  SECTION("repetition divides positive and multiplies negative logits") {
    o.repetition_penalty = 2.0f;
    CHECK(after(o, {0}, {3, 1.6f}) == 1);
    CHECK(after(o, {0}, {3, 1.4f}) == 0);
    CHECK(after(o, {0}, {-1, -1.9f}) == 1);
    CHECK(after(o, {0}, {-1, -2.1f}) == 0);
    CHECK(after(o, {0, 0, 0}, {3, 1.4f}) == 0);  // once, however often it was seen
  }
  SECTION("frequency counts occurrences") {
    o.frequency_penalty = 1.0f;
    CHECK(after(o, {0}, {3, 1.5f}) == 0);
    CHECK(after(o, {0, 0}, {3, 1.5f}) == 1);
  }
  SECTION("presence does not") {
    o.presence_penalty = 1.0f;
    CHECK(after(o, {0, 0, 0}, {3, 1.5f}) == 0);
    CHECK(after(o, {0}, {3, 2.5f}) == 1);
  }
  SECTION("tokens leave the window") {
    o.presence_penalty = 10.0f, o.penalty_last = 2;
    CHECK(after(o, {0, 1}, {3, 2, 1}) == 2);
    CHECK(after(o, {0, 1, 1}, {3, 2, 1}) == 0);
    o.penalty_last = 0;
    CHECK(after(o, {0, 0, 0}, {3, 2, 1}) == 0);
  }
  SECTION("ids out of range are ignored") {
    o.presence_penalty = 1.0f;
    CHECK(after(o, {-5, 1000}, {3, 2}) == 0);
  }
}

TEST_CASE("logits that are no numbers or infinite") {
  const float nan = std::nanf("");
  SamplerOptions drawn;
  drawn.temperature = 1.0f, drawn.top_p = 0.9f, drawn.typical_p = 0.9f, drawn.min_p = 0.1f;
  for (const SamplerOptions& o : {SamplerOptions{}, drawn}) {
    CHECK(Sampler(o).sample(std::vector<float>{nan, -2, nan}) == 1);
    CHECK(Sampler(o).sample(std::vector<float>{-infinity, nan, -1000}) == 2);
    CHECK(Sampler(o).sample(std::vector<float>{1, infinity, 2}) == 1);
    CHECK(Sampler(o).sample(std::vector<float>{nan, nan}) == 0);
    CHECK(Sampler(o).sample(std::vector<float>(8, -infinity)) == 0);
    CHECK(Sampler(o).sample(std::vector<float>{}) == 0);
    CHECK(Sampler(o).sample(std::vector<float>{-3}) == 0);
  }
  drawn = {};
  drawn.temperature = 1e-30f;  // the division overflows: as good as greedy
  CHECK(draws(drawn, {1, 2, 1.99f}, 20) == std::vector<Token>(20, 1));
  drawn.temperature = 1.0f;
  CHECK(sampled_survivors({-infinity, 1, nan, 1}, drawn) == std::set<int>{1, 3});
}

TEST_CASE("check names the option that is out of range") {
  auto message = [](auto change) {
    SamplerOptions o;
    change(o);
    auto result = Sampler::check(o);
    return result ? std::string("ok") : result.error().message;
  };
  using O = SamplerOptions;
  CHECK(message([](O&) {}) == "ok");
  CHECK(message([](O& o) { o.temperature = -1; }).find("temperature is -1") == 0);
  CHECK(message([](O& o) { o.temperature = std::nanf(""); }).find("temperature") == 0);
  CHECK(message([](O& o) { o.top_k = -1; }).find("top_k") == 0);
  CHECK(message([](O& o) { o.top_p = 0; }).find("top_p") == 0);
  CHECK(message([](O& o) { o.top_p = 1.5f; }).find("top_p") == 0);
  CHECK(message([](O& o) { o.typical_p = 0; }).find("typical_p") == 0);
  CHECK(message([](O& o) { o.min_p = -0.1f; }).find("min_p") == 0);
  CHECK(message([](O& o) { o.penalty_last = -1; }).find("penalty_last") == 0);
  CHECK(message([](O& o) { o.repetition_penalty = 0; }).find("repetition_penalty") == 0);
  CHECK(message([](O& o) { o.frequency_penalty = infinity; }).find("frequency_penalty") == 0);
  CHECK(message([](O& o) { o.presence_penalty = infinity; }).find("presence_penalty") == 0);
  CHECK(message([](O& o) { o.logit_bias[3] = std::nanf(""); }).find("logit_bias") == 0);
}
