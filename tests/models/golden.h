// Owns: reading a golden (tokens, logits, greedy continuation) and measuring distance. Knows the public API alone.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "strata/strata.h"
#include "support/shared.h"

namespace strata::test {

/// The float32 goldens of the architectures that strata runs: `<shared>/conformance/models/<name>.{gguf,json,logits.f32}`.
inline const std::vector<std::string> kGoldenModels = {
    "deepseek2-v2",
    "deepseek2-v3",
    "gemma2",
    "gemma3-swa",
    "gemma4-dense",
    "gemma4-e2b",
    "gemma4-moe",
    "glm4moe-mtp",
    "gpt-oss",
    "granite",
    "lfm2",
    "llama-gqa",
    "llama-mixtral",
    "llama-rope3",
    "llama4",
    "mistral3-yarn",
    "olmoe",
    "phi3-longrope-long",
    "phi3-longrope-short",
    "qwen2-bias",
    "qwen2moe",
    "qwen3-tied",
    "qwen3-untied",
    "qwen35-mtp",
    "qwen35moe-mtp",
    "qwen3moe",
    "qwen3next",
};

struct Golden {
  std::vector<Token> tokens;
  std::vector<Token> greedy;
  std::vector<float> logits;  // [tokens][vocab]
  std::size_t vocab = 0;
  int context = 256;
};

inline Golden read_golden(const std::string& stem) {
  auto json = nlohmann::json::parse(read_text(stem + ".json"));
  Golden golden;
  golden.tokens = json.at("tokens").get<std::vector<Token>>();
  golden.greedy = json.at("greedy").get<std::vector<Token>>();
  golden.vocab = json.at("n_vocab").get<std::size_t>();
  golden.logits = read_floats(stem + ".logits.f32");
  return golden;
}

/// Normalised mean squared error of `got` against `want`: sum (got - want)^2 / sum want^2.
inline double nmse(std::span<const float> got, std::span<const float> want) {
  double error = 0, power = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += (double(got[i]) - want[i]) * (double(got[i]) - want[i]);
    power += double(want[i]) * want[i];
  }
  return error / power;
}

/// Logits of all positions, evaluated `batch` tokens at a time.
inline std::vector<float> logits_of(const Model& model, std::span<const Token> tokens, int batch, int context = 256) {
  Session session = Session::create(model, {context}).value_or_throw();
  std::vector<float> out;
  for (std::size_t at = 0; at < tokens.size(); at += static_cast<std::size_t>(batch)) {
    auto part = tokens.subspan(at, std::min<std::size_t>(static_cast<std::size_t>(batch), tokens.size() - at));
    session.evaluate(part, [&](int, std::span<const float> row) { out.insert(out.end(), row.begin(), row.end()); }).value_or_throw();
  }
  return out;
}

/// The largest error over positions, so that one bad row cannot hide among good ones.
inline double worst_nmse(std::span<const float> got, const Golden& golden) {
  double worst = 0;
  for (std::size_t at = 0; at < golden.logits.size(); at += golden.vocab)
    worst = std::max(worst, nmse(got.subspan(at, golden.vocab), std::span(golden.logits).subspan(at, golden.vocab)));
  return worst;
}

inline Model load(const std::string& path, const std::string& device, KvType kv = KvType::f32, int threads = 2) {
  ModelOptions options;
  options.device = device;
  options.kv_type = kv;
  options.threads = threads;
  return Model::load(path, options).value_or_throw();
}

}  // namespace strata::test
