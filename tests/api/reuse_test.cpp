// Owns: reuse of a conversation's past on models with recurrent states: what turns evaluate, whether it is the same to
// the bit, which snapshots stay. Knows the public API, and Sequence for its bound.
#include <algorithm>
#include <random>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/shared.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& path) {
  ModelOptions options;
  options.device = "cpu";
  options.threads = 2;
  return Model::load(path, options).value_or_throw();
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

std::vector<Token> random_tokens(std::mt19937& random, std::size_t count, int vocabulary) {
  std::vector<Token> out(count);
  for (Token& token : out) token = static_cast<Token>(random() % static_cast<unsigned>(vocabulary));
  return out;
}

std::size_t common_prefix(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

void check_from_scratch(Session& session) {
  Session fresh = Session::create(session.model(), {session.context()}).value_or_throw();
  fresh.evaluate(session.tokens()).value_or_throw();
  CHECK(copy(fresh.logits()) == copy(session.logits()));
}

/// How the client renders a finished turn when it asks again.
enum class Rendering {
  grows,      ///< as it was written
  stripped,   ///< without the two tokens that opened the thought, and without the answer's first half
};

struct Conversation {
  int turns, question, answer;
};

void converse(const Model& model, Rendering rendering, const Conversation& shape) {
  const int vocabulary = model.summary().vocabulary;
  Session session = Session::create(model, {16384}).value_or_throw();
  std::mt19937 random(7);
  std::vector<Token> history;
  for (int turn = 1; turn <= shape.turns; ++turn) {
    const auto question = random_tokens(random, static_cast<std::size_t>(shape.question), vocabulary);
    history.insert(history.end(), question.begin(), question.end());
    auto prompt = history;
    if (rendering == Rendering::stripped) prompt.insert(prompt.end(), {1, 2});
    const std::size_t known = common_prefix(prompt, session.tokens());
    Sampler sampler;
    GenerateOptions options;
    options.max_tokens = shape.answer;
    options.ignore_eos = true;
    auto out = session.generate(prompt, sampler, options).value_or_throw();
    INFO("turn " << turn << ", " << prompt.size() << " tokens, " << known << " known");
    const int fresh = static_cast<int>(prompt.size() - known);
    // The first changed turn shows how long before the prompt's end they change; later ones are exact.
    if (rendering == Rendering::stripped && turn == 2) CHECK((out.prompt_evaluated >= fresh && out.prompt_evaluated <= fresh + 4));
    else CHECK(out.prompt_evaluated == fresh);
    if (turn == 3 || turn == shape.turns) check_from_scratch(session);
    auto answer = std::span(out.tokens);
    if (rendering == Rendering::stripped) answer = answer.subspan(answer.size() / 2);
    history.insert(history.end(), answer.begin(), answer.end());
  }
  const MemoryPlan plan = session.memory_plan();
  CHECK(plan.snapshots >= 8 * model.summary().recurrent_bytes);
  CHECK(session.memory() <= plan.cache + plan.states + plan.snapshots);
}

TEST_CASE("twenty turns over 8000 tokens evaluate what is new, on hybrid models too") {
  converse(load(write_tiny_model("qwen35", "Q8_0")), Rendering::grows, {20, 340, 70});
  converse(load(write_tiny_model("qwen35", "Q8_0")), Rendering::stripped, {20, 370, 70});
}

TEST_CASE("turns evaluate what is new, whatever the model") {
  for (const char* architecture : {"qwen35moe", "llama", "gemma3"})
    for (Rendering rendering : {Rendering::grows, Rendering::stripped}) {
      INFO(architecture << (rendering == Rendering::grows ? " grows" : " stripped"));
      converse(load(write_tiny_model(architecture, "Q8_0")), rendering, {6, 150, 40});
    }
}

TEST_CASE("turns of qwen3next evaluate what is new") {
  auto path = shared("conformance/models/qwen3next.gguf");
  if (!path) return;
  converse(load(*path), Rendering::grows, {8, 100, 40});
  converse(load(*path), Rendering::stripped, {8, 100, 40});
}

TEST_CASE("the same prompt again evaluates nothing, an earlier one what follows a snapshot") {
  for (const char* architecture : {"qwen35", "llama", "gemma3"}) {
    INFO(architecture);
    Model model = load(write_tiny_model(architecture, "F32"));
    std::mt19937 random(3);
    const auto prompt = random_tokens(random, 700, 512);
    Session session = Session::create(model, {4096}).value_or_throw();
    auto generate = [&](std::span<const Token> tokens) {
      Sampler sampler;
      GenerateOptions options;
      options.max_tokens = 50;
      options.ignore_eos = true;
      return session.generate(tokens, sampler, options).value_or_throw();
    };
    auto first = generate(prompt);
    CHECK(first.prompt_evaluated == 700);
    auto again = generate(prompt);
    CHECK(again.prompt_evaluated == 0);
    CHECK(again.tokens == first.tokens);
    Session fork = session.fork().value_or_throw();
    Sampler sampler;
    GenerateOptions one;
    one.max_tokens = 1;
    CHECK(fork.generate(prompt, sampler, one).value_or_throw().prompt_evaluated == 0);
    // Another end from token 600 on: recurrent states and windows go back to the snapshot at 512.
    auto edited = prompt;
    edited[600] = (edited[600] + 1) % 512;
    CHECK(generate(edited).prompt_evaluated == (architecture != std::string("llama") ? 700 - 512 : 100));
    check_from_scratch(session);
  }
}

TEST_CASE("snapshots lie denser towards the end of a long timeline") {
  Model model = load(write_tiny_model("qwen35", "Q8_0"));
  std::mt19937 random(5);
  const auto tokens = random_tokens(random, 8192, 512);
  Session session = Session::create(model, {16384, 256, 8}).value_or_throw();
  session.evaluate(tokens).value_or_throw();
  CHECK(session.memory() <= session.memory_plan().cache + session.memory_plan().states + session.memory_plan().snapshots);
  auto replayed = [&](std::size_t back) {
    Session fork = session.fork().value_or_throw();
    auto other = tokens;
    Token& changed = other[other.size() - back];
    changed = (changed + 1) % 512;
    return fork.sync(other).value_or_throw() - static_cast<int>(back);
  };
  CHECK(replayed(1) <= 256);
  CHECK(replayed(300) <= 512);
  CHECK(replayed(2000) <= 1536);
  CHECK(replayed(6000) <= 3072);
}

}  // namespace
