// Owns: holding the models against goldens of an independent engine: logits, greedy text, perplexity.
#include "models/golden.h"

#include <filesystem>

namespace {

using namespace strata;
using namespace strata::test;

/// Files of formats that this build multiplies.
const std::vector<std::string> kQuantised = {
    "gpt-oss-MXFP4_MOE",
    "llama-ff256-Q4_K_M",
    "llama-l1-IQ4_XS",
    "llama-l1-Q2_K",
    "llama-l1-Q3_K_M",
    "llama-l1-Q4_0",
    "llama-l1-Q5_K_M",
    "llama-l1-Q6_K",
    "llama-l1-Q8_0",
    "qwen3moe-Q4_K_M",
};

std::vector<Token> greedy(const Model& model, std::span<const Token> prompt, std::size_t count) {
  Session session = Session::create(model, {512}).value_or_throw();
  Sampler sampler;
  GenerateOptions options;
  options.max_tokens = static_cast<int>(count);
  options.ignore_eos = true;
  return session.generate(prompt, sampler, options).value_or_throw().tokens;
}

TEST_CASE("float32 goldens agree on every device, batched and token by token") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  for (const std::string& name : kGoldenModels)
    for (const char* device : {"ref", "cpu"}) {
      INFO(name << " on " << device);
      Golden golden = read_golden(*folder + "/" + name);
      Model model = load(*folder + "/" + name + ".gguf", device);
      std::vector<float> first;  // how the prompt was cut changes no bit
      for (int batch : {40, 1, 7}) {
        auto logits = logits_of(model, golden.tokens, batch);
        if (first.empty()) first = logits;
        CHECK(logits == first);
        REQUIRE(logits.size() == golden.logits.size());
        INFO("batch " << batch);
        CHECK(worst_nmse(logits, golden) < 1e-6);
      }
      CHECK(greedy(model, golden.tokens, golden.greedy.size()) == golden.greedy);
    }
}

TEST_CASE("quantised caches stay near the goldens, alike on every device") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  int compared = 0;
  for (const std::string& name : kGoldenModels) {
    const std::string path = *folder + "/" + name + ".gguf";
    const Golden golden = read_golden(*folder + "/" + name);
    double before = 0;
    for (KvType type : {KvType::f16, KvType::q8_0, KvType::q4_0}) {
      ModelOptions options;
      options.device = "ref";
      options.kv_type = type;
      auto model = Model::load(path, options);
      if (!model) {  // heads that are no whole blocks
        CHECK(model.error().code == ErrorCode::unsupported);
        CHECK(model.error().message.find("use f16") != std::string::npos);
        break;
      }
      INFO(name << ", cache type " << static_cast<int>(type));
      const auto ref = logits_of(*model, golden.tokens, 40), cpu = logits_of(load(path, "cpu", type), golden.tokens, 40);
      const double error = nmse(ref, golden.logits), apart = nmse(cpu, ref);
      CHECK(error < (type == KvType::f16 ? 1e-4 : type == KvType::q8_0 ? 1e-2 : 0.5));
      CHECK(error > before);  // fewer bits, more error: the type is really used
      CHECK(apart < (type == KvType::f16 ? 1e-5 : error));
      before = error;
      ++compared;
    }
  }
  CHECK(compared >= 3);
}

TEST_CASE("quantised goldens: ref computes exactly, cpu no worse than the golden engine") {
  auto folder = shared("conformance/quant-models");
  if (!folder) return;
  for (const std::string& name : kQuantised) {
    INFO(name);
    Golden exact = read_golden(*folder + "/" + name + ".deq");
    Golden native = read_golden(*folder + "/" + name + ".native");
    std::string path = *folder + "/" + name + ".gguf";
    for (int batch : {40, 1}) {
      CHECK(worst_nmse(logits_of(load(path, "ref"), exact.tokens, batch), exact) < 1e-6);
      CHECK(nmse(logits_of(load(path, "cpu"), exact.tokens, batch), exact.logits) <= 1.1 * nmse(native.logits, exact.logits));
    }
  }
}

TEST_CASE("the bundled model agrees with its goldens") {
  std::string data = std::string(STRATA_SOURCE_DIR) + "/tests/data/strata-tiny/";
  std::string path = std::string(STRATA_SOURCE_DIR) + "/examples/models/strata-tiny-q4_k_m.gguf";
  Golden exact = read_golden(data + "q4_k_m-story.deq");
  for (const char* device : {"ref", "cpu"}) {
    INFO(device);
    Model model = load(path, device);
    auto logits = logits_of(model, exact.tokens, 40);
    double bound = std::string(device) == "ref" ? 1e-6 : 1e-2;  // cpu quantises activations to 8 bits
    CHECK(nmse(logits, exact.logits) < bound);
  }
  CHECK(greedy(load(path, "ref"), exact.tokens, exact.greedy.size()) == exact.greedy);
}

TEST_CASE("stories260k: the golden 250 tokens and the perplexity") {
  auto folder = shared("models/stories260k");
  if (!folder) return;
  auto json = nlohmann::json::parse(read_text(*folder + "/greedy.json"));
  Model model = load(*folder + "/stories260k-f32.gguf", "cpu");
  auto prompt = model.tokenizer()->encode("Once upon a time").value_or_throw();
  auto want = json.at("ids").get<std::vector<Token>>();  // the prompt's ids, then 250
  REQUIRE(prompt == json.at("prompt_ids").get<std::vector<Token>>());
  REQUIRE(want.size() == prompt.size() + 250);
  want.erase(want.begin(), want.begin() + std::ptrdiff_t(prompt.size()));
  CHECK(greedy(model, prompt, 250) == want);

  auto tokens = model.tokenizer()->encode(read_text(*folder + "/sample.txt"), {false, true}).value_or_throw();
  Session session = Session::create(model, {256}).value_or_throw();
  double nll = 0;
  int count = 0;
  for (std::size_t at = 0; at + 255 <= tokens.size(); at += 255) {
    std::vector<Token> chunk{*model.tokenizer()->bos()};
    chunk.insert(chunk.end(), tokens.begin() + std::ptrdiff_t(at), tokens.begin() + std::ptrdiff_t(at) + 255);
    session.truncate(0).value_or_throw();
    session.evaluate(chunk, [&](int position, std::span<const float> row) {
      if (position + 1 >= int(chunk.size())) return;
      double sum = 0;
      for (float x : row) sum += std::exp(double(x));
      nll += std::log(sum) - row[std::size_t(chunk[std::size_t(position) + 1])];
      ++count;
    }).value_or_throw();
  }
  CHECK(count == 1785);
  CHECK(std::exp(nll / count) == Approx(4.5283).margin(0.001));
}

}  // namespace
