// Owns: proving that on `cpu` a position's logits depend on its prefix alone, to the bit: not on how the prompt was cut,
// on threads, on reuse of a prefix, on truncation and replay, nor on who else is in the step.
#include <algorithm>
#include <filesystem>
#include <random>

#include "models/golden.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

std::vector<Token> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Token> out(count);
  for (Token& token : out) token = static_cast<Token>(random() % 512);
  return out;
}

/// Bit-equality, also of NaNs; == on floats would take -0 for 0.
bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

std::vector<float> append(Session& session, std::span<const Token> tokens) {
  std::vector<float> out;
  session.evaluate(tokens, [&](int, std::span<const float> row) { out.insert(out.end(), row.begin(), row.end()); }).value_or_throw();
  return out;
}

void check_model(const std::string& path, KvType kv) {
  constexpr std::size_t kVocab = 512;
  const auto prompt = random_tokens(300, 1);
  const Model model = load(path, "cpu", kv, 1), two_threads = load(path, "cpu", kv, 2);
  const auto whole = logits_of(model, prompt, 300, 1024);
  REQUIRE(whole.size() == 300 * kVocab);
  REQUIRE(std::all_of(whole.begin(), whole.end(), [](float x) { return std::isfinite(x); }));

  for (int batch : {1, 7, 16, 64}) {
    INFO("cut into steps of " << batch);
    CHECK(same_bits(logits_of(model, prompt, batch, 1024), whole));
  }
  CHECK(same_bits(logits_of(two_threads, prompt, 300, 1024), whole));
  CHECK(same_bits(logits_of(two_threads, prompt, 1, 1024), whole));

  auto tail = [&](std::size_t from) { return std::span(whole).subspan(from * kVocab); };
  SECTION("reused prefix and truncation") {
    Session session = Session::create(two_threads, {1024, 64, 4}).value_or_throw();
    auto other = prompt;
    for (std::size_t i = 200; i < other.size(); ++i) other[i] = (other[i] + 1) % 512;
    session.evaluate(other).value_or_throw();
    for (int keep : {200, 130, 64, 1, 0}) {
      INFO("truncated to " << keep);
      session.truncate(keep).value_or_throw();
      CHECK(session.tokens().size() == std::size_t(keep));
      CHECK(same_bits(append(session, std::span(prompt).subspan(std::size_t(keep))), tail(std::size_t(keep))));
    }
    CHECK(session.sync(prompt).value_or_throw() == 0);
    session.truncate(299).value_or_throw();
    CHECK(session.sync(prompt).value_or_throw() == 1);
    CHECK(same_bits(session.logits(), tail(299)));
  }
  SECTION("a fork goes its own way") {
    Session session = Session::create(model, {1024}).value_or_throw();
    session.evaluate(std::span(prompt).first(150)).value_or_throw();
    Session fork = session.fork().value_or_throw();
    session.evaluate(random_tokens(40, 9)).value_or_throw();
    CHECK(same_bits(append(fork, std::span(prompt).subspan(150)), tail(150)));
  }
  SECTION("beside seven others") {
    std::vector<Session> sessions;
    std::vector<std::vector<Token>> prompts;
    for (unsigned i = 0; i < 8; ++i) {
      sessions.push_back(Session::create(two_threads, {1024}).value_or_throw());
      prompts.push_back(i == 3 ? prompt : random_tokens(20 + 37 * i, 100 + i));
    }
    std::vector<float> together;
    std::vector<Work> work;
    for (unsigned i = 0; i < 8; ++i) work.push_back({&sessions[i], prompts[i], {}});
    work[3].on_logits = [&](int, std::span<const float> row) { together.insert(together.end(), row.begin(), row.end()); };
    evaluate(work).value_or_throw();
    CHECK(same_bits(together, whole));
    CHECK(same_bits(sessions[3].logits(), tail(299)));
    Session alone = Session::create(model, {1024}).value_or_throw();
    alone.evaluate(prompts[6]).value_or_throw();
    CHECK(same_bits(sessions[6].logits(), alone.logits()));
  }
}

TEST_CASE("a position's logits depend on its prefix alone, to the bit") {
  for (const std::string& architecture : tiny_architectures())
    for (const char* type : {"F32", "Q8_0", "Q4_K_M"})
      DYNAMIC_SECTION(architecture << " " << type) {
        std::string path = write_tiny_model(architecture, type);
        check_model(path, KvType::f16);
      }
  DYNAMIC_SECTION("float32 cache") { check_model(write_tiny_model("llama", "Q4_K_M"), KvType::f32); }
  DYNAMIC_SECTION("q8_0 cache") { check_model(write_tiny_model("llama", "Q4_K_M"), KvType::q8_0); }
  DYNAMIC_SECTION("q4_0 cache") { check_model(write_tiny_model("qwen35moe", "Q8_0"), KvType::q4_0); }
}

/// Golden models that hold what the tiny ones lack, in float32.
TEST_CASE("so they do for golden models of other kinds") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  for (const char* name : {"deepseek2-v3", "gemma4-e2b", "glm4moe-mtp", "gpt-oss", "lfm2", "llama4", "phi3-longrope-long", "qwen3next"})
    DYNAMIC_SECTION(name) { check_model(*folder + "/" + name + ".gguf", KvType::f32); }
}

}  // namespace
