// Owns: the time of one sampled token over vocabularies of 32,000 and 262,144. Knows the public API.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "strata/strata.h"

namespace {

using namespace strata;

/// As models give them: most tokens near 0, a few far above.
std::vector<float> logits(int count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& x : out) x = normal(random);
  for (int i = 0; i < 20; ++i) out[random() % out.size()] += 12;
  return out;
}

struct Case {
  const char* name;
  SamplerOptions options;
  bool accepts = false;
};

std::vector<Case> cases() {
  std::vector<Case> out;
  const auto add = [&](const char* name, auto change, bool accepts = false) {
    SamplerOptions options;
    options.temperature = 0.8f;
    change(options);
    out.push_back({name, options, accepts});
  };
  add("greedy", [](SamplerOptions& o) { o.temperature = 0; });
  add("temperature", [](SamplerOptions&) {});
  add("top_k:40", [](SamplerOptions& o) { o.top_k = 40; });
  add("top_k:1000", [](SamplerOptions& o) { o.top_k = 1000; });
  add("top_p:0.95", [](SamplerOptions& o) { o.top_p = 0.95f; });
  add("min_p:0.05", [](SamplerOptions& o) { o.min_p = 0.05f; });
  const auto usual = [](SamplerOptions& o) { o.top_k = 40, o.top_p = 0.95f, o.min_p = 0.05f; };
  add("usual", usual);
  add("usual,penalties", [&](SamplerOptions& o) {
    usual(o);
    o.repetition_penalty = 1.1f, o.frequency_penalty = 0.2f, o.presence_penalty = 0.2f;
  }, true);
  add("typical_p:0.95", [](SamplerOptions& o) { o.typical_p = 0.95f; });
  return out;
}

void bench_sample(benchmark::State& state, const Case& c, int vocabulary) {
  const std::vector<float> values = logits(vocabulary);
  Sampler sampler(c.options);
  for (auto _ : state) {
    const Token token = sampler.sample(values);
    benchmark::DoNotOptimize(token);
    if (c.accepts) sampler.accept(token);
  }
  state.SetItemsProcessed(state.iterations());
}

}  // namespace

int main(int argc, char** argv) {
  for (int vocabulary : {32000, 262144})
    for (const Case& c : cases())
      benchmark::RegisterBenchmark(("sample/" + std::string(c.name) + "/" + std::to_string(vocabulary)).c_str(), bench_sample, c, vocabulary)
          ->Unit(benchmark::kMicrosecond);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
