// Owns: hidden states and embeddings: against the head's matrix and plain pooling. Knows the public API.
#include <cmath>
#include <filesystem>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/edit_model.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& path, const std::string& device, int max_step = 512) {
  ModelOptions options;
  options.device = device;
  options.threads = 1;
  options.max_step = max_step;
  return Model::load(path, options).value_or_throw();
}

std::vector<Token> some_tokens(int count) {
  std::vector<Token> out;
  for (int i = 0; i < count; ++i) out.push_back(i * 37 % 512);
  return out;
}

std::vector<std::vector<float>> hidden_of(const Model& model, std::span<const Token> tokens) {
  std::vector<std::vector<float>> out;
  Session session = Session::create(model, {256}).value_or_throw();
  session.evaluate(tokens, {}, [&](int position, std::span<const float> hidden) {
    CHECK(position == int(out.size()));
    out.emplace_back(hidden.begin(), hidden.end());
  }).value_or_throw();
  CHECK(session.logits().empty());
  CHECK(session.tokens().size() == tokens.size());
  return out;
}

TEST_CASE("the head turns hidden states into logits") {
  const auto tokens = some_tokens(20);
  for (const char* architecture : {"llama", "qwen35moe"})
    for (const char* device : {"ref", "cpu", "cpu=1,ref"}) {
      INFO(architecture << " on " << device);
      const std::string path = write_tiny_model(architecture, "F32");
      const auto head = ModelFile::open(path).value_or_throw().read("output.weight").value_or_throw();  // [512][256]
      Model model = load(path, device);
      const auto alone = hidden_of(model, tokens);
      REQUIRE(alone.size() == tokens.size());
      Session session = Session::create(model, {256}).value_or_throw();
      std::vector<float> logits;
      std::size_t at = 0;
      session.evaluate(
          tokens, [&](int, std::span<const float> row) { logits.assign(row.begin(), row.end()); },
          [&](int, std::span<const float> hidden) {
            CHECK(std::equal(hidden.begin(), hidden.end(), alone[at].begin(), alone[at].end()));  // with logits or without
            double error = 0, power = 0;
            for (std::size_t v = 0; v < 512; ++v) {
              double sum = 0;
              for (std::size_t i = 0; i < 256; ++i) sum += static_cast<double>(head[v * 256 + i]) * hidden[i];
              error += (sum - logits[v]) * (sum - logits[v]);
              power += sum * sum;
            }
            CHECK(error / power < 1e-10);
            ++at;
          }).value_or_throw();
      CHECK(at == tokens.size());
    }
}

TEST_CASE("embeddings pool and normalise, however the text is cut into steps") {
  const auto tokens = some_tokens(50);
  const std::string path = write_tiny_model("qwen35", "Q8_0");
  Model model = load(path, "cpu"), small_steps = load(path, "cpu", 7);
  const auto hidden = hidden_of(model, tokens);
  for (Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::last}) {
    std::vector<double> wanted(256, 0.0);
    for (std::size_t t = 0; t < 50; ++t)
      for (std::size_t i = 0; i < 256; ++i)
        if (pooling == Pooling::mean) wanted[i] += hidden[t][i] / 50.0;
        else if (t == (pooling == Pooling::cls ? 0 : 49)) wanted[i] = hidden[t][i];
    const auto raw = model.embed(tokens, {pooling, false}).value_or_throw();
    const auto unit = model.embed(tokens, {pooling, true}).value_or_throw();
    CHECK(small_steps.embed(tokens, {pooling, true}).value_or_throw() == unit);
    double length = 0, unit_length = 0;
    for (double x : wanted) length += x * x;
    for (float x : unit) unit_length += double(x) * x;
    CHECK(std::sqrt(unit_length) == Approx(1.0).margin(1e-6));
    for (std::size_t i = 0; i < 256; ++i) {
      CHECK(raw[i] == Approx(wanted[i]).margin(1e-6));
      CHECK(unit[i] == Approx(wanted[i] / std::sqrt(length)).margin(1e-6));
    }
  }
  CHECK_FALSE(model.embed({}));
  auto wrong = model.embed(std::vector<Token>{5, 512});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("512") != std::string::npos);
}

TEST_CASE("the file says how to pool") {
  const std::string path = write_tiny_model("llama", "F32"), other = temporary_path("pooled.gguf");
  CHECK(load(path, "cpu").pooling() == Pooling::mean);
  const std::pair<std::uint32_t, Pooling> known[] = {{1, Pooling::mean}, {2, Pooling::cls}, {3, Pooling::last}};
  for (auto [number, pooling] : known) {
    edit_model(path, other, [](const gguf::Tensor&, std::vector<float>&) { return true; }, {{"llama.pooling_type", number}});
    Model model = load(other, "cpu");
    CHECK(model.pooling() == pooling);
    CHECK(model.embed(some_tokens(9)).value_or_throw() == model.embed(some_tokens(9), {pooling, true}).value_or_throw());
    std::filesystem::remove(other);
  }
}

TEST_CASE("sessions that want hidden states and others step together") {
  Model model = load(write_tiny_model("llama", "Q8_0"), "cpu");
  const auto tokens = some_tokens(40), others = some_tokens(30);
  Session a = Session::create(model, {256}).value_or_throw(), b = Session::create(model, {256}).value_or_throw();
  std::vector<std::vector<float>> hidden;
  Work work[] = {{&a, tokens, {}, [&](int, std::span<const float> h) { hidden.emplace_back(h.begin(), h.end()); }}, {&b, others, {}}};
  evaluate(work).value_or_throw();
  CHECK(hidden == hidden_of(model, tokens));
  Session alone = Session::create(model, {256}).value_or_throw();
  alone.evaluate(others).value_or_throw();
  CHECK(std::equal(b.logits().begin(), b.logits().end(), alone.logits().begin(), alone.logits().end()));
}

}  // namespace
