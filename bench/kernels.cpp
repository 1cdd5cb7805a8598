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

  void make_panels(const PanelFormat& panel) {
    const std::size_t bytes = stride * static_cast<std::size_t>(panel.rows);
    std::vector<std::uint8_t> rows(bytes);
    for (std::uint8_t* at = data; at + bytes <= storage.data() + storage.size(); at += bytes) {
      std::memcpy(rows.data(), at, bytes);
      panel.make(rows.data(), stride, kWidth, at);
    }
  }
};

void bench_matmul(benchmark::State& state, const IsaKernels& isa, const FormatKernels& format, int rows, int tokens, bool in_panels) {
  Weights weights(format.type, rows);
  if (in_panels) weights.make_panels(format.panel);
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
  const MatmulCall call{weights.data, weights.stride, inputs.data(), outputs.data(), rows, tokens, kWidth, memory.get(), in_panels};
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
    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(4 * kWidth);
  };
  const auto with_rows = [](auto body) {
    return [body] { return [body, rows = std::make_shared<Rows>()] { body(*rows); }; };
  };
  const IsaKernels* k = &isa;
  const auto unary = [&](const char* name, auto kernel) {
    add_row(isa, name, row * 2, with_rows([kernel](Rows& r) { kernel(r.a.data(), r.out.data(), kWidth); }));
  };
  const auto binary = [&](const char* name, auto kernel) {
    add_row(isa, name, row * 3, with_rows([kernel](Rows& r) { kernel(r.a.data(), r.b.data(), r.out.data(), kWidth); }));
  };
  const auto quantize = [&](const char* name, ActivationFormat format) {
    const double bytes = row + static_cast<double>(activation_bytes(format, kWidth));
    add_row(isa, name, bytes, with_rows([kernel = k->quantize[static_cast<int>(format)]](Rows& r) {
              kernel(r.a.data(), r.bytes.data(), kWidth);
            }));
  };
  quantize("quantize_f32", ActivationFormat::f32);
  quantize("quantize_q8_32", ActivationFormat::q8_32);
  quantize("quantize_q8_256", ActivationFormat::q8_256);
  add_row(isa, "rms_norm", row * 3, with_rows([k](Rows& r) { k->rms_norm(r.a.data(), r.b.data(), 1e-6f, r.out.data(), kWidth); }));
  add_row(isa, "l2_norm", row * 2, with_rows([k](Rows& r) { k->l2_norm(r.a.data(), 1e-6f, r.out.data(), kWidth); }));
  binary("match_norm", k->match_norm);
  add_row(isa, "sparsify", row * 2, with_rows([k](Rows& r) { k->sparsify(r.a.data(), 1.6f, r.out.data(), kWidth); }));
  binary("add", k->add);
  binary("mul", k->mul);
  add_row(isa, "scale", row * 2, with_rows([k](Rows& r) { k->scale(r.a.data(), 0.5f, r.out.data(), kWidth); }));
  add_row(isa, "add_scaled", row * 3, with_rows([k](Rows& r) { k->add_scaled(r.a.data(), 1e-9f, r.out.data(), kWidth); }));
  binary("swiglu", k->swiglu);
  binary("geglu", k->geglu);
  binary("swiglu_clamped", k->swiglu_clamped);
  add_row(isa, "softcap", row * 2, with_rows([k](Rows& r) { k->softcap(r.a.data(), 30.0f, r.out.data(), kWidth); }));
  unary("silu", k->silu);
  unary("sigmoid", k->sigmoid);
  binary("sigmoid_mul", k->sigmoid_mul);
  add_row(isa, "softplus_mul", row * 4, with_rows([k](Rows& r) {
            k->softplus_mul(r.a.data(), r.b.data(), r.b.data(), r.out.data(), kWidth);
          }));
  unary("softmax", k->softmax);
  add_row(isa, "to_f16", row * 1.5, with_rows([k](Rows& r) {
            k->to_f16(r.a.data(), reinterpret_cast<std::uint16_t*>(r.bytes.data()), kWidth);
          }));
  for (const bool adjacent : {false, true})
    add_row(isa, adjacent ? "rope_adjacent" : "rope", row * 3, [k, adjacent] {
      return [k, adjacent, x = random_floats(kWidth), c = std::vector<float>(kWidth / 2, 0.6f),
              s = std::vector<float>(kWidth / 2, 0.8f)]() mutable { k->rope(x.data(), c.data(), s.data(), kWidth / 2, adjacent); };
    });
  add_row(isa, "short_conv", row * 9, [k] {
    return [k, rows = std::make_shared<Rows>(), w = random_floats(4 * kWidth)] {
      const float* window[4] = {rows->a.data(), rows->b.data(), rows->a.data(), rows->b.data()};
      k->short_conv(window, w.data(), 4, rows->out.data(), kWidth);
    };
  });
}

/// One head of width 128. Three products and a scaling for each number of the state: 7 operations.
void add_delta_net(const IsaKernels& isa, int tokens) {
  constexpr int dim = 128;
  const std::string label = "delta_net/tokens:" + std::to_string(tokens) + "__" + isa.name;
  benchmark::RegisterBenchmark(label.c_str(), [&isa, tokens](benchmark::State& state) {
    const auto count = static_cast<std::size_t>(tokens);
    std::vector<float> key = random_floats(count * dim), s(dim * dim + 16), out(count * dim);
    float* const first = s.data() + (64 - reinterpret_cast<std::uintptr_t>(s.data()) % 64) % 64 / sizeof(float);  // as engines have it
    for (std::size_t t = 0; t < count; ++t) isa.l2_norm(key.data() + t * dim, 1e-6f, key.data() + t * dim, dim);
    const std::vector<float> v = random_floats(count * dim), decay(count, -0.05f), beta(count, 0.5f);
    const DeltaNetCall call{first, dim, dim, tokens, key.data(), key.data(), v.data(), dim, dim, decay.data(), beta.data(), 1, out.data(), dim};
    for (auto _ : state) {
      isa.delta_net(call);
      benchmark::ClobberMemory();
    }
    const double done = static_cast<double>(state.iterations()) * tokens;
    state.counters["tokens/s"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
    state.counters["GFLOP/s"] = benchmark::Counter(7e-9 * dim * dim * done, benchmark::Counter::kIsRate);
  });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("memory_read", bench_memory_read)->Unit(benchmark::kMillisecond);
  for (const IsaKernels* isa : isa_tables()) {
    if (!isa->supported()) continue;
    for (const FormatKernels& format : isa->formats) {
      const auto rows = static_cast<int>(kMemory / row_bytes(format.type, kWidth));
      for (const bool in_panels : {false, true}) {
        if (in_panels && format.panel.rows == 0) continue;
        const auto add = [&](const std::string& suffix, int count, int tokens) {
          const std::string name = std::string(format.matmul_name) + (in_panels ? "/panels" : "") + suffix;
          benchmark::RegisterBenchmark(name.c_str(), bench_matmul, *isa, format, count, tokens, in_panels)->Unit(benchmark::kMillisecond);
        };
        for (const int tokens : {1, 2, 4, 8}) add("/memory/tokens:" + std::to_string(tokens), rows, tokens);
        for (const int tokens : {1, 2, 4, 8, 16, 64, 512}) add("/tokens:" + std::to_string(tokens), 256, tokens);
      }
    }
    add_elementwise(*isa);
    for (const int tokens : {1, 8, 32, 512}) add_delta_net(*isa, tokens);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
