// Owns: layers with a sliding window keep their window and no more, and nothing that is computed shows it. Knows the public
// API.
#include <algorithm>
#include <random>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

constexpr int kPage = 64, kWindow = 100;                        // of the tiny gemma3
constexpr std::uint64_t kPageBytes = 2 * kPage * 2 * 2 * 64 * 2;  // 2 layers, keys and values, 2 heads of 64 in f16

Model load(int max_step = 512, const std::string& device = "cpu") {
  ModelOptions options;
  options.device = device;
  options.threads = 2;
  options.max_step = max_step;
  return Model::load(write_tiny_model("gemma3", "Q8_0"), options).value_or_throw();
}

std::vector<Token> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Token> out(count);
  for (Token& token : out) token = static_cast<Token>(random() % 512);
  return out;
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

std::vector<float> from_scratch(const Model& model, std::span<const Token> tokens) {
  Session session = Session::create(model, {2048}).value_or_throw();
  session.evaluate(tokens).value_or_throw();
  return copy(session.logits());
}

TEST_CASE("a window's pages are released as it moves on, and logits are those of one step that holds everything") {
  const auto tokens = random_tokens(1000, 1);
  const std::span all(tokens);
  const std::vector<float> expected = from_scratch(load(1024), tokens);  // one step releases nothing before its end
  Model model = load(64);
  for (int snapshots : {0, 3})
    for (std::size_t cut : {1u, 7u, 64u, 100u}) {
      INFO("steps of " << cut << ", " << snapshots << " snapshots");
      Session session = Session::create(model, {1024, 128, snapshots}).value_or_throw();
      const MemoryPlan plan = session.memory_plan();
      for (std::size_t at = 0; at < all.size(); at += cut) {
        session.evaluate(all.subspan(at, std::min(cut, all.size() - at))).value_or_throw();
        REQUIRE(session.memory() <= plan.cache + plan.snapshots);
      }
      CHECK(copy(session.logits()) == expected);
      // 16 pages of the layers that see everything; of the others what the window and one page before it touch.
      if (snapshots == 0) CHECK(session.memory() <= (16 + (kWindow + kPage) / kPage + 2) * kPageBytes);
      else CHECK(plan.snapshots > 0);
      CHECK(plan.cache <= (16 + (kWindow + kPage + 64) / kPage + 2) * kPageBytes);
    }
}

TEST_CASE("a timeline with windows goes back to any length, to the bit") {
  Model model = load();
  const auto tokens = random_tokens(900, 2), more = random_tokens(30, 3);
  std::mt19937 random(4);
  for (int snapshots : {0, 1, 4}) {
    Session session = Session::create(model, {1024, 128, snapshots}).value_or_throw();
    for (int round = 0; round < 12; ++round) {
      session.sync(tokens).value_or_throw();
      const int length = static_cast<int>(random() % 900);
      INFO(snapshots << " snapshots, back to " << length);
      session.truncate(length).value_or_throw();
      REQUIRE(session.tokens().size() == static_cast<std::size_t>(length));
      session.evaluate(more).value_or_throw();
      std::vector<Token> all(tokens.begin(), tokens.begin() + length);
      all.insert(all.end(), more.begin(), more.end());
      CHECK(copy(session.logits()) == from_scratch(model, all));
    }
  }
}

TEST_CASE("going back by less than a page evaluates nothing, further what follows a snapshot") {
  Model model = load();
  const auto tokens = random_tokens(900, 5);
  auto evaluated = [&](int length, int snapshots) {
    Session session = Session::create(model, {1024, 128, snapshots}).value_or_throw();
    session.evaluate(tokens).value_or_throw();
    std::vector<Token> other(tokens.begin(), tokens.begin() + length);
    other.push_back((tokens[static_cast<std::size_t>(length)] + 1) % 512);
    return session.sync(other).value_or_throw();
  };
  for (int back : {1, 16, 63}) CHECK(evaluated(900 - back, 0) == 1);
  CHECK(evaluated(700, 0) == 701);
  CHECK(evaluated(700, 8) == 701 - 640);
  CHECK(evaluated(100, 8) == 101);
}

TEST_CASE("forks share near pages until one writes, and outlive each other") {
  Model model = load();
  const auto tokens = random_tokens(610, 6), left = random_tokens(300, 7), right = random_tokens(300, 8);
  auto session = std::make_unique<Session>(Session::create(model, {1024, 128, 2}).value_or_throw());
  session->evaluate(tokens).value_or_throw();
  Session fork = session->fork().value_or_throw();
  CHECK(fork.memory() == session->memory());
  session->evaluate(left).value_or_throw();
  fork.evaluate(right).value_or_throw();
  auto joined = [&](const std::vector<Token>& end) {
    auto all = tokens;
    all.insert(all.end(), end.begin(), end.end());
    return all;
  };
  CHECK(copy(session->logits()) == from_scratch(model, joined(left)));
  CHECK(copy(fork.logits()) == from_scratch(model, joined(right)));
  session.reset();
  fork.truncate(512).value_or_throw();
  fork.evaluate(left).value_or_throw();
  std::vector<Token> all(tokens.begin(), tokens.begin() + 512);
  all.insert(all.end(), left.begin(), left.end());
  CHECK(copy(fork.logits()) == from_scratch(model, all));
}

TEST_CASE("sessions with windows step together as alone, on a split model too") {
  for (const char* device : {"cpu", "cpu=2,ref"}) {
    Model model = load(64, device);
    std::vector<Session> sessions;
    std::vector<std::vector<Token>> tokens;
    for (unsigned i = 0; i < 4; ++i) {
      sessions.push_back(Session::create(model, {512, 64, 2}).value_or_throw());
      tokens.push_back(random_tokens(150 + 90 * i, i));
    }
    std::vector<Work> work;
    for (std::size_t i = 0; i < 4; ++i) work.push_back({&sessions[i], tokens[i], {}});
    evaluate(work).value_or_throw();
    for (std::size_t i = 0; i < 4; ++i) CHECK(copy(sessions[i].logits()) == from_scratch(model, tokens[i]));
  }
}

}  // namespace
