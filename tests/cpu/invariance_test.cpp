// Owns: the proof that a position's result depends on its prefix alone, to the bit: not on threads, not on how a prompt
// is cut into steps, not on other sequences in the step.
#include <algorithm>
#include <span>
#include <vector>

#include "cpu/block.h"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::size_t kLength = 600;  // three splits of attention

/// Logits of all positions, with the prompt cut into steps of these sizes (the last repeats).
std::vector<float> run_alone(Runner& runner, std::span<const std::int32_t> tokens, std::vector<std::size_t> cut) {
  Timeline line = runner.start(0, 2);
  std::vector<float> all;
  for (std::size_t at = 0, i = 0; at < tokens.size(); ++i) {
    const std::size_t count = std::min(cut[std::min(i, cut.size() - 1)], tokens.size() - at);
    const auto logits = runner.step({{&line, tokens.subspan(at, count)}});
    all.insert(all.end(), logits.begin(), logits.end());
    at += count;
  }
  return all;
}

/// The same, with another sequence before or behind it in every step, and at another depth.
std::vector<float> run_in_company(Runner& runner, std::span<const std::int32_t> tokens) {
  Timeline other = runner.start(1, 2), line = runner.start(0, 2);
  const auto noise = random_tokens(200, 99);
  runner.step({{&other, std::span(noise).first(40)}});
  std::vector<float> all;
  std::mt19937 random(3);
  for (std::size_t at = 0, step = 0; at < tokens.size(); ++step) {
    const std::size_t count = std::min<std::size_t>(1 + random() % 20, tokens.size() - at);
    const std::size_t others = static_cast<std::size_t>(other.position) < 190 ? 1 + random() % 2 : 0;
    Runner::Part mine{&line, tokens.subspan(at, count)},
        company{&other, std::span(noise).subspan(static_cast<std::size_t>(other.position), others)};
    const bool first = step % 2;
    const auto logits = runner.step(first ? std::vector{mine, company} : std::vector{company, mine});
    const float* from = logits.data() + (first ? 0 : others * kVocabulary);
    all.insert(all.end(), from, from + count * kVocabulary);
    at += count;
  }
  return all;
}

void check_invariance(TensorType type, const std::string& isa, std::size_t length) {
  CAPTURE(type_name(type), isa);
  const Model model = make_model(type);
  const auto tokens = random_tokens(length, 1);
  Runner plain(model, open_cpu(1, isa), static_cast<int>(length) + 2, 2);
  const auto expected = run_alone(plain, tokens, {length});
  REQUIRE(std::all_of(expected.begin(), expected.end(), [](float x) { return std::isfinite(x); }));
  for (int threads : {1, 2, 5}) {
    CAPTURE(threads);
    Runner runner(model, open_cpu(threads, isa), static_cast<int>(length) + 2, 2);
    CHECK(same_bits(run_alone(runner, tokens, {length}), expected));
    CHECK(same_bits(run_alone(runner, tokens, {1}), expected));
    CHECK(same_bits(run_alone(runner, tokens, {1, length / 2 + 7, 3}), expected));
    CHECK(same_bits(run_alone(runner, tokens, {65}), expected));
    CHECK(same_bits(run_in_company(runner, tokens), expected));
  }
}

}  // namespace

TEST_CASE("the best instruction set: any threads, cut and company give the same bits") {
  for (TensorType type : {TensorType::f32, TensorType::q4_k, TensorType::q8_0})
    check_invariance(type, usable_isas().front(), kLength);
}

TEST_CASE("every instruction set: any threads, cut and company give the same bits") {
  for (const std::string& isa : usable_isas()) check_invariance(TensorType::q4_k, isa, 40);
}
