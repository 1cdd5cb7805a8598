// Owns: Session as a host program sees it: errors, context, sync, forks, generation, threads.
#include "strata/strata.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <thread>

#include "support/catch.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& path, ModelOptions options = {}) {
  if (options.device == "auto") options.device = "cpu";
  options.threads = 2;
  return Model::load(path, options).value_or_throw();
}

/// The bundled model; nothing, with a printed note, in builds that cannot read its text.
std::optional<Model> storyteller() {
  Model model = load(std::string(STRATA_SOURCE_DIR) + "/examples/models/strata-tiny-q4_k_m.gguf");
  if (model.tokenizer()) return model;
  std::printf("skipped: %s\n", model.tokenizer_error()->message.c_str());
  return std::nullopt;
}

std::vector<Token> encode(const Model& model, const std::string& text) { return model.tokenizer()->encode(text).value_or_throw(); }

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

TEST_CASE("a session refuses what it cannot do and stays as it was") {
  Model model = load(write_tiny_model("qwen3", "F32"));
  Session session = Session::create(model, {8}).value_or_throw();
  CHECK(session.context() == 8);
  CHECK(session.logits().empty());
  std::vector<Token> tokens = {1, 2, 3, 4, 5};
  session.evaluate(tokens).value_or_throw();
  auto before = copy(session.logits());

  auto refused = [&](const Result<void>& result, ErrorCode code, const std::string& part) {
    REQUIRE_FALSE(result);
    INFO(result.error().message);
    CHECK(result.error().code == code);
    CHECK(result.error().message.find(part) != std::string::npos);
    CHECK(session.tokens().size() == 5);
    CHECK(copy(session.logits()) == before);
  };
  refused(session.evaluate(std::vector<Token>{1, 512}), ErrorCode::invalid_argument, "512");
  refused(session.evaluate(std::vector<Token>{-1}), ErrorCode::invalid_argument, "-1");
  refused(session.evaluate(std::vector<Token>{1, 2, 3, 4}), ErrorCode::context_full, "8");
  refused(session.truncate(6), ErrorCode::invalid_argument, "6");
  refused(session.truncate(-1), ErrorCode::invalid_argument, "-1");
  CHECK_FALSE(session.sync(std::vector<Token>(9, 1)));
  CHECK_FALSE(Session::create(model, {-3}));
  Sampler sampler;
  CHECK_FALSE(session.generate({}, sampler));
  CHECK(session.evaluate({}));

  Work twice[] = {{&session, tokens, {}}, {&session, tokens, {}}};
  CHECK_FALSE(evaluate(twice));
  Session other = Session::create(load(write_tiny_model("llama", "F32"))).value_or_throw();
  Work mixed[] = {{&session, std::span(tokens).first(1), {}}, {&other, tokens, {}}};
  CHECK_FALSE(evaluate(mixed));
}

TEST_CASE("sync evaluates only what is new") {
  for (const std::string architecture : {"llama", "qwen35moe"}) {
    INFO(architecture);
    Model model = load(write_tiny_model(architecture, "Q8_0"));
    Session session = Session::create(model, {512, 16, 8}).value_or_throw();
    std::vector<Token> tokens(100);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(i * 7 % 512);
    CHECK(session.sync(tokens).value_or_throw() == 100);
    CHECK(session.sync(tokens).value_or_throw() == 0);
    tokens.push_back(3);
    CHECK(session.sync(tokens).value_or_throw() == 1);
    tokens.resize(90);
    tokens.push_back(4);
    // Attention goes back to any token; recurrent states to the last snapshot (every 16 tokens: 80).
    CHECK(session.sync(tokens).value_or_throw() == (architecture == "llama" ? 1 : 11));
    Session fresh = Session::create(model).value_or_throw();
    fresh.evaluate(tokens).value_or_throw();
    CHECK(copy(session.logits()) == copy(fresh.logits()));
    CHECK(session.sync({}).value_or_throw() == 0);
    CHECK(session.tokens().empty());
    CHECK(session.memory() < 1 << 20);
  }
}

TEST_CASE("conversation turns never evaluate the past twice, also on recurrent models") {
  auto told = storyteller();
  if (!told) return;
  const Model& model = *told;
  Session session = Session::create(model, {2048}).value_or_throw();
  std::vector<Token> history;
  for (int turn = 0; turn < 6; ++turn) {
    std::vector<Message> message = {{"user", "Tell me a story about a fox."}};
    auto text = model.format_chat(message).value_or_throw().text;
    auto more = encode(model, turn ? "\n" + text : text);
    history.insert(history.end(), more.begin(), more.end());
    Sampler sampler;
    GenerateOptions options;
    options.max_tokens = 20;
    auto answer = session.generate(history, sampler, options).value_or_throw();
    // The last sampled token of the turn before was not evaluated then.
    CHECK(answer.prompt_evaluated <= int(more.size()) + 1);
    history.insert(history.end(), answer.tokens.begin(), answer.tokens.end());
  }
}

TEST_CASE("generate streams, stops and reports") {
  auto told = storyteller();
  if (!told) return;
  const Model& model = *told;
  Session session = Session::create(model).value_or_throw();
  auto prompt = encode(model, "Once upon a time");
  Sampler sampler;
  GenerateOptions options;
  options.max_tokens = 40;
  std::string streamed;
  int calls = 0;
  auto whole = session.generate(prompt, sampler, options, [&](Token, std::string_view text) {
    streamed += text;
    ++calls;
    return true;
  }).value_or_throw();
  CHECK(whole.tokens.size() == 40);
  CHECK(calls >= 40);
  CHECK(whole.reason == StopReason::length);
  CHECK(streamed == whole.text);
  CHECK(whole.prompt_tokens == int(prompt.size()));
  CHECK(whole.first_token_seconds > 0);
  CHECK(model.tokenizer()->decode(whole.tokens) == whole.text);

  SECTION("a stop string ends the text before it, also across tokens") {
    std::string stop = whole.text.substr(whole.text.size() / 2, 9);
    options.stop = {stop};
    Sampler again;
    auto cut = session.generate(prompt, again, options).value_or_throw();
    CHECK(cut.reason == StopReason::stop_string);
    CHECK(cut.text == whole.text.substr(0, whole.text.find(stop)));
  }
  SECTION("stop strings that never come hold nothing back for good") {
    options.stop = {whole.text.substr(whole.text.size() - 4) + "\x01", "\x02"};
    Sampler again;
    std::vector<Token> seen;
    std::string text;
    auto held = session.generate(prompt, again, options, [&](Token token, std::string_view part) {
      seen.push_back(token);
      text += part;
      return true;
    }).value_or_throw();
    CHECK(held.text == whole.text);
    CHECK(text == whole.text);
    REQUIRE(seen.size() == held.tokens.size() + 1);  // what was held back comes last, with no token
    CHECK(seen.back() == no_token);
    seen.pop_back();
    CHECK(seen == held.tokens);
  }
  SECTION("the callback stops") {
    Sampler again;
    int left = 5;
    auto cut = session.generate(prompt, again, options, [&](Token, std::string_view) { return --left > 0; }).value_or_throw();
    CHECK(cut.reason == StopReason::callback);
    CHECK(cut.tokens.size() == 5);
  }
  SECTION("the context ends") {
    Session small = Session::create(model, {int(prompt.size()) + 10}).value_or_throw();
    options.max_tokens = -1;
    options.ignore_eos = true;
    Sampler again;
    auto cut = small.generate(prompt, again, options).value_or_throw();
    CHECK(cut.reason == StopReason::context_full);
    CHECK(std::equal(cut.tokens.begin(), cut.tokens.end(), whole.tokens.begin()));
  }
  SECTION("the model ends by itself") {
    options.max_tokens = 1500;
    Sampler again;
    auto story = session.generate(prompt, again, options).value_or_throw();
    CHECK(story.reason == StopReason::end_of_generation);
  }
  SECTION("the same seed gives the same text, another one another") {
    auto sample = [&](std::uint64_t seed) {
      SamplerOptions warm;
      warm.temperature = 1.0f;
      warm.seed = seed;
      Sampler random(warm);
      return session.generate(prompt, random, options).value_or_throw().text;
    };
    CHECK(sample(7) == sample(7));
    CHECK(sample(7) != sample(8));
  }
}

TEST_CASE("a model is shared by threads, each with a session of its own") {
  auto told = storyteller();
  if (!told) return;
  const Model& model = *told;
  auto prompt = encode(model, "Once upon a time");
  auto run = [&](std::uint64_t seed) {
    Session session = Session::create(model).value_or_throw();
    SamplerOptions options;
    options.temperature = 0.8f;
    options.seed = seed;
    Sampler sampler(options);
    GenerateOptions generate;
    generate.max_tokens = 30;
    return session.generate(prompt, sampler, generate).value_or_throw().text;
  };
  std::vector<std::string> alone, together(4);
  for (std::uint64_t i = 0; i < 4; ++i) alone.push_back(run(i));
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 4; ++i) threads.emplace_back([&, i] { together[i] = run(i); });
  for (std::thread& thread : threads) thread.join();
  CHECK(together == alone);
}

TEST_CASE("forks share pages until one writes") {
  Model model = load(write_tiny_model("llama", "F32"));
  Session session = Session::create(model).value_or_throw();
  session.evaluate(std::vector<Token>(100, 5)).value_or_throw();
  std::vector<Session> forks;
  for (int i = 0; i < 5; ++i) forks.push_back(session.fork().value_or_throw());
  std::vector<Token> next = {9};
  session.evaluate(next).value_or_throw();
  for (Session& fork : forks) {
    CHECK(fork.tokens().size() == 100);
    fork.evaluate(next).value_or_throw();
    CHECK(copy(fork.logits()) == copy(session.logits()));
  }
}

TEST_CASE("snapshots are thinned, never lost altogether") {
  Model model = load(write_tiny_model("qwen35", "F32"));
  Session session = Session::create(model, {1024, 8, 3}).value_or_throw();
  std::vector<Token> tokens(400);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(i % 512);
  session.evaluate(tokens).value_or_throw();
  auto memory = session.memory();
  session.truncate(200).value_or_throw();
  CHECK(session.tokens().size() == 200);
  session.evaluate(std::span(tokens).subspan(200)).value_or_throw();
  CHECK(session.memory() <= memory);
  Session fresh = Session::create(model, {1024, 0, 0}).value_or_throw();
  fresh.evaluate(tokens).value_or_throw();
  CHECK(copy(fresh.logits()) == copy(session.logits()));
  fresh.truncate(399).value_or_throw();  // no snapshot at all: replayed from the start
  CHECK(fresh.tokens().size() == 399);
}

}  // namespace
