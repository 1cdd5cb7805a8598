// Owns: dropping tokens from the middle of a timeline: exact where a model has one layer, whose keys see nothing but their
// own token. Knows the public API.
#include <filesystem>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/edit_model.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

std::vector<Token> some_tokens(int count, int step) {
  std::vector<Token> out;
  for (int i = 0; i < count; ++i) out.push_back((i * step + i * i) % 512);
  return out;
}

double nmse(std::span<const float> got, std::span<const float> want) {
  double error = 0, power = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += (double(got[i]) - want[i]) * (double(got[i]) - want[i]);
    power += double(want[i]) * want[i];
  }
  return error / power;
}

Model load(const std::string& path, const std::string& device, KvType kv) {
  ModelOptions options;
  options.device = device;
  options.threads = 1;
  options.kv_type = kv;
  return Model::load(path, options).value_or_throw();
}

TEST_CASE("a shifted timeline of one layer is that of the tokens left") {
  const auto tokens = some_tokens(300, 13), next = some_tokens(9, 29);
  for (const char* architecture : {"llama", "qwen3", "gemma3"}) {  // adjacent pairs; halves; halves and a window of 100
    const std::string path = temporary_path("one-layer.gguf");
    edit_model(write_tiny_model(architecture, "F32"), path,
               [](const gguf::Tensor& tensor, std::vector<float>&) { return !tensor.name.starts_with("blk.") || tensor.name.starts_with("blk.0."); },
               {{std::string(architecture) + ".block_count", std::uint32_t{1}}});
    for (const char* device : {"ref", "cpu"})
      for (KvType kv : {KvType::f32, KvType::f16, KvType::q8_0})
        for (auto [keep, count] : {std::pair(0, 128), {4, 100}, {64, 64}, {70, 1}, {1, 298}}) {
          INFO(architecture << " on " << device << (kv == KvType::f32 ? " f32" : kv == KvType::f16 ? " f16" : " q8_0") << ", keep " << keep << ", drop " << count);
          Model model = load(path, device, kv);
          Session session = Session::create(model, {512}).value_or_throw();
          session.evaluate(tokens).value_or_throw();
          Session fork = session.fork().value_or_throw();
          session.shift(keep, count).value_or_throw();
          auto left = tokens;
          left.erase(left.begin() + keep, left.begin() + keep + count);
          REQUIRE(std::equal(session.tokens().begin(), session.tokens().end(), left.begin(), left.end()));
          Session fresh = Session::create(model, {512}).value_or_throw();
          fresh.evaluate(left).value_or_throw();
          fresh.evaluate(next).value_or_throw();
          session.evaluate(next).value_or_throw();
          CHECK(nmse(session.logits(), fresh.logits()) < (kv == KvType::f32 ? 1e-10 : kv == KvType::f16 ? 1e-5 : 1e-3));
          // The fork shared its pages and has not changed.
          CHECK(fork.tokens().size() == 300);
          fork.evaluate(next).value_or_throw();
          Session whole = Session::create(model, {512}).value_or_throw();
          whole.evaluate(tokens).value_or_throw();
          whole.evaluate(next).value_or_throw();
          CHECK(std::equal(fork.logits().begin(), fork.logits().end(), whole.logits().begin(), whole.logits().end()));
        }
    std::filesystem::remove(path);
  }
}

TEST_CASE("shifts are refused where they cannot be meant") {
  const auto tokens = some_tokens(100, 7);
  Session hybrid = Session::create(load(write_tiny_model("qwen35", "F32"), "cpu", KvType::f16), {256}).value_or_throw();
  hybrid.evaluate(tokens).value_or_throw();
  auto refused = hybrid.shift(0, 10);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message.find("recurrent") != std::string::npos);
  CHECK(hybrid.tokens().size() == 100);

  Session session = Session::create(load(write_tiny_model("llama", "F32"), "cpu", KvType::f16), {256}).value_or_throw();
  session.evaluate(tokens).value_or_throw();
  for (auto [keep, count] : {std::pair(-1, 5), {0, 0}, {0, 100}, {90, 10}, {100, 1}, {5, -2}, {2'000'000'000, 2'000'000'000}})
    CHECK_FALSE(session.shift(keep, count));
  CHECK(session.tokens().size() == 100);
}

TEST_CASE("generation goes on beyond the context when it may shift") {
  const char* architecture = GENERATE("llama", "gemma3");
  Model model = load(write_tiny_model(architecture, "Q8_0"), "cpu", KvType::f16);
  Session session = Session::create(model, {96}).value_or_throw();
  const auto prompt = some_tokens(40, 11);
  GenerateOptions options;
  options.max_tokens = 300;
  options.ignore_eos = true;
  Sampler sampler;
  auto stopped = session.generate(prompt, sampler, options).value_or_throw();
  CHECK(stopped.reason == StopReason::context_full);
  CHECK(stopped.tokens.size() == 57);
  options.shift_keep = 5;
  Sampler again;
  auto went_on = session.generate(prompt, again, options).value_or_throw();
  CHECK(went_on.reason == StopReason::length);
  CHECK(went_on.tokens.size() == 300);
  CHECK(std::equal(stopped.tokens.begin(), stopped.tokens.end(), went_on.tokens.begin()));
  CHECK(session.tokens().size() <= 96);
  CHECK(std::equal(prompt.begin(), prompt.begin() + 5, session.tokens().begin()));
  Session hybrid = Session::create(load(write_tiny_model("qwen35", "Q8_0"), "cpu", KvType::f16), {96}).value_or_throw();
  Sampler third;
  auto refused = hybrid.generate(prompt, third, options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
}

}  // namespace
