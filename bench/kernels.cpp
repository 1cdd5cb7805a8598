// Owns: one-core microbenchmarks of the CPU kernels, a row for each (kernel, format, instruction set), made from the
// tables themselves. Knows no model. Read the figures beside the machine's memory rate: memory_read is in the list.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/formats/list.h"
#include "kernels/formats/sample.h"

namespace {

using namespace strata;
using namespace strata::kernels;

constexpr int kWidth = 4096;                              // elements in a row
constexpr std::size_t kMemory = std::size_t{192} << 20;  // bytes of weights that no cache holds

std::vector<float> random_floats(std::size_t n, float scale = 1) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

/// `rows` rows of one format: a few rows repeated, at a 64-byte boundary.
struct Weights {
  std::vector<std::uint8_t> storage;
  std::uint8_t* data;
  std::size_t stride;

  Weights(TensorType type, int rows) : stride(row_bytes(type, kWidth)) {
    constexpr int distinct = 16;
    storage.resize(stride * static_cast<std::size_t>(rows) + 64);
    data = storage.data() + (64 - reinterpret_cast<std::uintptr_t>(storage.data()) % 64) % 64;
    const std::vector<float> x = random_floats(distinct * kWidth, 0.02f);
    const formats::Format& format = *formats::find(type);
    std::mt19937_64 random(1);
    for (int r = 0; r < rows; ++r) {
      std::uint8_t* row = data + static_cast<std::size_t>(r) * stride;
      if (r >= distinct)
        std::memcpy(row, row - distinct * stride, stride);
      else if (format.encode)
        format.encode(x.data() + r * kWidth, nullptr, row, kWidth);
      else
        formats::random_blocks(format, random, row, kWidth);
    }
  }
};

void bench_matmul(benchmark::State& state, const IsaKernels& isa, const FormatKernels& format, int rows, int tokens) {
  const Weights weights(format.type, rows);
  const std::size_t bytes = (activation_bytes(format.activation, kWidth) + 63) / 64 * 64;
  std::vector<std::uint8_t> activations(bytes * static_cast<std::size_t>(tokens) + 64);
  std::uint8_t* base = activations.data() + (64 - reinterpret_cast<std::uintptr_t>(activations.data()) % 64) % 64;
  const std::vector<float> x = random_floats(static_cast<std::size_t>(tokens) * kWidth);
  std::vector<float> y(static_cast<std::size_t>(tokens) * static_cast<std::size_t>(rows));
  std::vector<const void*> inputs;
  std::vector<float*> outputs;
  for (int t = 0; t < tokens; ++t) {
    std::uint8_t* row = base + static_cast<std::size_t>(t) * bytes;
    isa.quantize[static_cast<int>(format.activation)](x.data() + t * kWidth, row, kWidth);
    inputs.push_back(row);
    outputs.push_back(y.data() + static_cast<std::size_t>(t) * static_cast<std::size_t>(rows));
  }
  const std::size_t scratch = format.scratch_bytes(kWidth);
  const std::unique_ptr<void, void (*)(void*)> memory(scratch > 0 ? std::aligned_alloc(64, (scratch + 63) / 64 * 64) : nullptr, std::free);
  const MatmulCall call{weights.data, weights.stride, inputs.data(), outputs.data(), rows, tokens, kWidth, memory.get()};
  for (auto _ : state) {
    format.matmul(call);
    benchmark::ClobberMemory();
  }
  const double runs = static_cast<double>(state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(weights.stride) * rows);
  state.counters["GOP/s"] = benchmark::Counter(2e-9 * runs * kWidth * rows * tokens, benchmark::Counter::kIsRate);
}

void bench_memory_read(benchmark::State& state) {
  const std::vector<std::uint64_t> data(kMemory / sizeof(std::uint64_t), 1);
  for (auto _ : state) {
    std::uint64_t sum[8] = {};
    for (std::size_t i = 0; i + 8 <= data.size(); i += 8)
      for (std::size_t j = 0; j < 8; ++j) sum[j] ^= data[i + j];
    benchmark::DoNotOptimize(sum);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(kMemory));
}

/// A kernel over rows of floats: `bytes` read and written by a call.
template <class Call>
void add_row(const IsaKernels& isa, const char* name, double bytes, Call call) {
  const std::string label = std::string(name) + "__" + isa.name;
  benchmark::RegisterBenchmark(label.c_str(), [bytes, call](benchmark::State& state) {
    auto run = call();
    for (auto _ : state) {
      run();
      benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes * static_cast<double>(state.iterations())));
  });
}

void add_elementwise(const IsaKernels& isa) {
  const double row = sizeof(float) * kWidth;
  struct Rows {
    std::vector<float> a = random_floats(kWidth), b = random_floats(kWidth), out = std::vector<float>(kWidth);
    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(2 * kWidth);
  };
  const auto with_rows = [](auto body) {
    return [body] { return [body, rows = std::make_shared<Rows>()] { body(*rows); }; };
  };
  const IsaKernels* k = &isa;
  add_row(isa, "quantize_q8_32", row * 1.25, with_rows([k](Rows& r) { k->quantize[1](r.a.data(), r.bytes.data(), kWidth); }));
  add_row(isa, "quantize_q8_256", row * 1.25, with_rows([k](Rows& r) { k->quantize[2](r.a.data(), r.bytes.data(), kWidth); }));
  add_row(isa, "rms_norm", row * 3, with_rows([k](Rows& r) { k->rms_norm(r.a.data(), r.b.data(), 1e-6f, r.out.data(), kWidth); }));
  add_row(isa, "add", row * 3, with_rows([k](Rows& r) { k->add(r.a.data(), r.b.data(), r.out.data(), kWidth); }));
  add_row(isa, "swiglu", row * 3, with_rows([k](Rows& r) { k->swiglu(r.a.data(), r.b.data(), r.out.data(), kWidth); }));
  add_row(isa, "geglu", row * 3, with_rows([k](Rows& r) { k->geglu(r.a.data(), r.b.data(), r.out.data(), kWidth); }));
  add_row(isa, "swiglu_clamped", row * 3, with_rows([k](Rows& r) { k->swiglu_clamped(r.a.data(), r.b.data(), r.out.data(), kWidth); }));
  add_row(isa, "softcap", row * 2, with_rows([k](Rows& r) { k->softcap(r.a.data(), 30.0f, r.out.data(), kWidth); }));
  add_row(isa, "softmax", row * 2, with_rows([k](Rows& r) { k->softmax(r.a.data(), r.out.data(), kWidth); }));
  add_row(isa, "rope", row * 3, with_rows([k](Rows& r) {
            k->rope(r.out.data(), r.a.data(), r.b.data(), kWidth / 2, false);
            std::fill(r.out.begin(), r.out.begin() + 1, 1.0f);
          }));
  add_row(isa, "short_conv", row * 9, [k] {
    return [k, rows = std::make_shared<Rows>(), w = random_floats(4 * kWidth)] {
      const float* window[4] = {rows->a.data(), rows->b.data(), rows->a.data(), rows->b.data()};
      k->short_conv(window, w.data(), 4, rows->out.data(), kWidth);
    };
  });
}

void add_sequence(const IsaKernels& isa) {
  constexpr int dim = 128;
  const IsaKernels* k = &isa;
  for (const int tokens : {1, 32})
    add_row(isa, tokens == 1 ? "delta_net_1" : "delta_net_32", 8.0 * dim * dim * tokens, [k, tokens] {
      std::vector<float> key = random_floats(static_cast<std::size_t>(tokens) * dim);
      k->l2_norm(key.data(), 1e-6f, key.data(), tokens * dim);
      return [k, tokens, key, v = random_floats(static_cast<std::size_t>(tokens) * dim), state = std::vector<float>(dim * dim),
              gate = std::vector<float>(static_cast<std::size_t>(tokens), -0.5f),
              out = std::vector<float>(static_cast<std::size_t>(tokens) * dim)]() mutable {
        k->delta_net({state.data(), dim, dim, tokens, key.data(), key.data(), v.data(), dim, dim, gate.data(), gate.data(), 1,
                      out.data(), dim});
      };
    });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("memory_read", bench_memory_read)->Unit(benchmark::kMillisecond);
  for (const IsaKernels* isa : isa_tables()) {
    if (!isa->supported()) continue;
    for (const FormatKernels& format : isa->formats) {
      const auto rows = static_cast<int>(kMemory / row_bytes(format.type, kWidth));
      const auto add = [&](const char* suffix, int count, int tokens) {
        benchmark::RegisterBenchmark((std::string(format.matmul_name) + suffix).c_str(), bench_matmul, *isa, format, count, tokens)
            ->Unit(benchmark::kMillisecond);
      };
      add("/memory", rows, 1);
      add("/cache", 64, 1);
      add("/tokens:4", 256, 4);
      add("/tokens:64", 256, 64);
      add("/tokens:512", 256, 512);
    }
    add_elementwise(*isa);
    add_sequence(*isa);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
