// Owns: one-core microbenchmarks of attention, a row for each (cache format, instruction set, head size, queries). GB/s are
// those of the cache, read once; GFLOP/s count a multiplication and an addition for each number of it and query.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/platform.h"
#include "kernels/cpu/kernels.h"
#include "kernels/formats/list.h"

namespace {

using namespace strata;
using namespace strata::kernels;

constexpr int kPage = 64, kSplit = 256;                  // positions
constexpr std::size_t kMemory = std::size_t{192} << 20;  // bytes of a cache that no processor's cache holds

struct Cache {
  const char* name;
  KvFormat format;
  TensorType type;
};
constexpr Cache kCaches[] = {{"f32", KvFormat::f32, TensorType::f32},
                             {"f16", KvFormat::f16, TensorType::f16},
                             {"q8_0", KvFormat::q8_0, TensorType::q8_0},
                             {"q4_0", KvFormat::q4_0, TensorType::q4_0}};

/// `queries` heads over the whole depth, split after split.
void bench_attention(benchmark::State& state, const IsaKernels& isa, const Cache& cache, int dim, int queries, int depth) {
  const std::size_t row = row_bytes(cache.type, dim), page = 2 * row * kPage;
  const auto memory = platform::Pages::allocate(page * static_cast<std::size_t>(depth / kPage), true);
  if (!memory) return state.SkipWithError(memory.error().message.c_str());
  const std::span<std::uint8_t> pages(reinterpret_cast<std::uint8_t*>(memory->data()), page * static_cast<std::size_t>(depth / kPage));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(dim) * kPage);
  for (float& v : x) v = normal(random);
  for (std::size_t at = 0; at < pages.size(); at += page / 2)
    if (at < 2 * page) formats::find(cache.type)->encode(x.data(), nullptr, &pages[at], static_cast<std::int64_t>(x.size()));
    else std::memcpy(&pages[at], &pages[at - 2 * page], page / 2);
  const auto n = static_cast<std::size_t>(queries), d = static_cast<std::size_t>(dim);
  std::vector<float> q(n * d), acc(n * d), scores(n * kSplit), max(n), sum(n), scratch(attention_scratch(dim) + 16);
  for (float& v : q) v = normal(random);
  float* aligned = scratch.data() + (64 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 64) % 64 / sizeof(float);
  std::vector<AttentionQuery> heads;
  for (std::size_t i = 0; i < n; ++i) heads.push_back({&q[i * d], 0, kSplit, &scores[i * kSplit], &max[i], &sum[i], &acc[i * d]});
  for (auto _ : state)
    for (int split = 0; split < depth / kSplit; ++split) {
      std::fill(max.begin(), max.end(), -INFINITY);
      std::fill(sum.begin(), sum.end(), 0.0f);
      std::fill(acc.begin(), acc.end(), 0.0f);
      AttentionRun runs[kSplit / kPage + 1];
      for (int r = 0; r <= kSplit / kPage; ++r) {  // and the first of the next split
        const std::uint8_t* k = pages.data() + page * static_cast<std::size_t>((split * (kSplit / kPage) + r) % (depth / kPage));
        runs[r] = {k, k + page / 2, kPage};
      }
      isa.attention_split({heads.data(), queries, runs, kSplit / kPage, dim, dim, dim, 1 / std::sqrt(static_cast<float>(dim)), 0,
                           cache.format, aligned, runs[kSplit / kPage].k});
      benchmark::ClobberMemory();
    }
  const double runs = static_cast<double>(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(pages.size()));
  state.counters["GFLOP/s"] = benchmark::Counter(4e-9 * runs * dim * depth * queries, benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  for (const IsaKernels* isa : isa_tables()) {
    if (!isa->supported()) continue;
    for (const Cache& cache : kCaches)
      for (const int dim : {64, 128})
        for (const int queries : {1, 4, 8, 64}) {
          const std::string name = std::string("attention_") + cache.name + "__" + isa->name + "/dim:" + std::to_string(dim) + "/queries:" + std::to_string(queries);
          const auto add = [&](const char* where, std::size_t bytes) {
            const auto depth = static_cast<int>(bytes / (2 * row_bytes(cache.type, dim)) / kSplit * kSplit);
            benchmark::RegisterBenchmark((name + where).c_str(), bench_attention, *isa, cache, dim, queries, depth)->Unit(benchmark::kMillisecond);
          };
          if (queries < 64) add("/memory", kMemory);
          add("/cache", 1 << 18);
        }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
