// Owns: small random models of every kind of block, and a runner that feeds them to a device in any cut.
// Knows devices through backend.h alone.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <map>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "kernels/cpu/kernels.h"
#include "kernels/formats/list.h"
#include "support/catch.h"

namespace strata::test {

using graph::Graph;
using graph::Tensor;

/// A graph and the bytes of its weights, by weight id.
struct Model {
  Graph graph;
  std::vector<std::vector<std::byte>> weights;
  std::map<std::string, unsigned> seen;  ///< weights of each name

  /// Values depend on the name and on how often it came before, not on the order in which a compiler evaluates arguments.
  graph::Weight add(const std::string& name, TensorType type, std::array<std::uint64_t, 4> ne, float mean = 0) {
    std::vector<unsigned> seeds(name.begin(), name.end());
    seeds.push_back(seen[name]++);
    std::seed_seq sequence(seeds.begin(), seeds.end());
    std::mt19937 random(sequence);
    const std::size_t rows = ne[1] * ne[2] * ne[3], row = ne[0];
    std::normal_distribution<float> normal(mean, mean != 0 ? 0.1f : 1.0f / std::sqrt(static_cast<float>(row)));
    std::vector<std::byte> bytes(rows * row_bytes(type, row));
    std::vector<float> floats(row);
    for (std::size_t r = 0; r < rows; ++r) {
      for (float& x : floats) x = normal(random);
      formats::find(type)->encode(floats.data(), nullptr, bytes.data() + r * row_bytes(type, row), static_cast<std::int64_t>(row));
    }
    weights.push_back(std::move(bytes));
    return graph.weight({name, type, ne});
  }
};

inline constexpr int kEmbedding = 256, kVocabulary = 64;

/// A second type for products that share an input, so that both kinds of quantised inputs are in use.
inline TensorType mixed(TensorType type) { return type == TensorType::f32 ? type : TensorType::q8_0; }

inline int rope_table(Graph& g, int pairs, bool adjacent) {
  graph::RopeTable table;
  for (int i = 0; i < pairs; ++i) table.frequency.push_back(std::pow(10000.0, -static_cast<double>(i) / pairs));
  table.adjacent = adjacent;
  return g.rope_table(std::move(table));
}

inline Tensor attention_block(Model& m, Tensor x, TensorType type, int table) {
  Graph& g = m.graph;
  constexpr std::uint64_t e = kEmbedding;
  constexpr int heads = 8, kv_heads = 2, dim = 32;
  Tensor h = g.rms_norm(x, m.add("attn_norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
  Tensor q = g.linear(h, m.add("attn_q", type, {e, 2 * heads * dim, 1, 1}), m.add("q_bias", TensorType::f32, {2 * heads * dim, 1, 1, 1}));
  Tensor gate = g.slice(g.heads(q, heads, 2 * dim), dim, dim);
  q = g.slice(g.heads(q, heads, 2 * dim), 0, dim);
  q = g.rope(g.rms_norm(q, m.add("q_norm", TensorType::bf16, {dim, 1, 1, 1}, 1), 1e-6f), table);
  Tensor k = g.heads(g.linear(h, m.add("attn_k", type, {e, kv_heads * dim, 1, 1})), kv_heads, dim);
  k = g.rope(k, table);
  Tensor v = g.heads(g.linear(h, m.add("attn_v", mixed(type), {e, kv_heads * dim, 1, 1})), kv_heads, dim);
  Tensor y = g.sigmoid_gate(g.attention(q, k, v, {0.3f}), g.heads(gate, 1, heads * dim));
  return g.add(x, g.linear(y, m.add("attn_output", type, {heads * dim, e, 1, 1})));
}

/// Latent attention: queries against a latent vector that is key and value, with a few rotated dims beside it.
inline Tensor latent_block(Model& m, Tensor x, TensorType type, int table) {
  Graph& g = m.graph;
  constexpr std::uint64_t e = kEmbedding;
  constexpr int heads = 2, dim = 256, rank = 256, rotated = 32;
  Tensor h = g.rms_norm(x, m.add("attn_norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
  Tensor q = g.heads(g.linear(h, m.add("q_nope", type, {e, heads * dim, 1, 1})), heads, dim);
  Tensor q_pe = g.heads(g.linear(h, m.add("q_pe", TensorType::f32, {e, heads * rotated, 1, 1})), heads, rotated);
  Tensor k_pe = g.linear(h, m.add("k_pe", TensorType::f32, {e, rotated, 1, 1}));
  Tensor c = g.rms_norm(g.linear(h, m.add("latent", type, {e, rank, 1, 1})), {}, 1e-6f);
  q = g.concat(g.head_linear(q, m.add("k_b", type, {dim, rank, heads, 1})), g.rope(q_pe, table));
  Tensor o = g.attention_within_keys(q, g.concat(c, g.rope(k_pe, table)), rank, {0.06f});
  o = g.head_linear(g.heads(o, heads, rank), m.add("v_b", type, {rank, 128, heads, 1}));
  return g.add(x, g.linear(o, m.add("attn_output", type, {heads * 128, e, 1, 1})));
}

inline Tensor dense_ffn(Model& m, Tensor x, TensorType type) {
  Graph& g = m.graph;
  constexpr std::uint64_t e = kEmbedding, f = 512;
  Tensor h = g.rms_norm(x, m.add("ffn_norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
  Tensor y = g.swiglu(g.linear(h, m.add("gate", type, {e, f, 1, 1})), g.linear(h, m.add("up", type, {e, f, 1, 1})));
  return g.add(x, g.linear(y, m.add("down", type, {f, e, 1, 1})));
}

inline Tensor expert_ffn(Model& m, Tensor x, TensorType type) {
  Graph& g = m.graph;
  constexpr std::uint64_t e = kEmbedding, f = 256, experts = 8;
  Tensor h = g.rms_norm(x, m.add("ffn_norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
  auto routing = g.route(g.linear(h, m.add("router", TensorType::f32, {e, experts, 1, 1})),
                         {3, graph::Gating::softmax, true, 1.5f});
  Tensor gate = g.expert_linear(h, m.add("gate_exps", type, {e, f, experts, 1}), routing);
  Tensor up = g.expert_linear(h, m.add("up_exps", type, {e, f, experts, 1}), routing);
  Tensor y = g.combine(g.expert_linear(g.geglu(gate, up), m.add("down_exps", type, {f, e, experts, 1}), routing), routing);
  Tensor shared = g.linear(h, m.add("shared", type, {e, e, 1, 1}));
  shared = g.sigmoid_gate(shared, g.linear(h, m.add("shared_gate", TensorType::f32, {e, 1, 1, 1})));
  return g.add(x, g.add(y, shared));
}

inline Tensor delta_block(Model& m, Tensor x, TensorType type) {
  Graph& g = m.graph;
  constexpr std::uint64_t e = kEmbedding;
  constexpr int k_heads = 2, v_heads = 4, dim = 32, channels = (2 * k_heads + v_heads) * dim;
  Tensor h = g.rms_norm(x, m.add("attn_norm", TensorType::f32, {e, 1, 1, 1}, 1), 1e-6f);
  Tensor u = g.short_conv(g.linear(h, m.add("qkv", type, {e, channels, 1, 1})), m.add("conv", TensorType::f32, {4, channels, 1, 1}), /*silu=*/true);
  Tensor q = g.heads(g.slice(u, 0, k_heads * dim), k_heads, dim);
  Tensor k = g.heads(g.slice(u, k_heads * dim, k_heads * dim), k_heads, dim);
  Tensor v = g.heads(g.slice(u, 2 * k_heads * dim, v_heads * dim), v_heads, dim);
  Tensor decay = g.decay(g.linear(h, m.add("alpha", TensorType::f32, {e, v_heads, 1, 1})),
                         m.add("dt", TensorType::f32, {v_heads, 1, 1, 1}), m.add("a", TensorType::f32, {v_heads, 1, 1, 1}, -1));
  Tensor beta = g.sigmoid(g.linear(h, m.add("beta", TensorType::f32, {e, v_heads, 1, 1})));
  Tensor y = g.delta_net(g.scale(g.l2_norm(q, 1e-6f), 0.17f), g.l2_norm(k, 1e-6f), v, decay, beta, graph::KeyHeads::tiled);
  y = g.rms_norm(y, m.add("ssm_norm", TensorType::f32, {dim, 1, 1, 1}, 1), 1e-6f);
  Tensor z = g.linear(h, m.add("z", type, {e, v_heads * dim, 1, 1}));
  return g.add(x, g.linear(g.swiglu(z, g.heads(y, 1, v_heads * dim)), m.add("out", mixed(type), {v_heads * dim, e, 1, 1})));
}

inline constexpr int kProducts = 24;  ///< of weights of `type`, in make_model

/// DeltaNet, attention, latent attention, dense and mixed feed-forward. Products are of `type`, some of another.
inline Model make_model(TensorType type) {
  Model m;
  Graph& g = m.graph;
  g.layers = 2;
  const int table = rope_table(g, 16, false), partial = rope_table(g, 8, true);
  Tensor x = g.scale(g.embed(m.add("token_embd", type, {kEmbedding, kVocabulary, 1, 1})), 4.0f);
  g.enter_layer(0);
  x = attention_block(m, x, type, table);
  x = expert_ffn(m, x, type);
  g.enter_layer(1);
  x = delta_block(m, x, type);
  x = attention_block(m, x, type, partial);
  x = latent_block(m, x, type, table);
  x = dense_ffn(m, x, type);
  g.enter_layer(2);
  g.hidden = g.rms_norm(g.gather(x), m.add("output_norm", TensorType::f32, {kEmbedding, 1, 1, 1}, 1), 1e-6f);
  g.logits = g.linear(g.hidden, m.add("output", type, {kEmbedding, kVocabulary, 1, 1}));
  return m;
}

inline std::vector<std::int32_t> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(count);
  for (std::int32_t& t : tokens) t = static_cast<std::int32_t>(random() % kVocabulary);
  return tokens;
}

/// What a sequence has on the device.
struct Timeline {
  std::vector<int> pages;
  int slot = 0, position = 0;
};

/// A model's weights on one device.
class LoadedWeights {
 public:
  LoadedWeights(const Model& model, backend::Device& device) {
    for (std::size_t i = 0; i < model.weights.size(); ++i) {
      backend::WeightSource source;
      source.mapped = model.weights[i];
      source.bytes = model.weights[i].size();
      weights_.push_back(device.load(model.graph.weights[i], source).value_or_throw());
      pointers_.push_back(weights_.back().get());
    }
  }
  std::span<const backend::Weight* const> all() const { return pointers_; }  ///< by weight id

 private:
  std::vector<std::unique_ptr<backend::Weight>> weights_;
  std::vector<const backend::Weight*> pointers_;
};

/// A model on one device.
class Runner {
 public:
  static constexpr int kPageTokens = 16, kPages = 48;  ///< per sequence

  Runner(const Model& model, std::unique_ptr<backend::Device> device, int capacity, int sequences,
         backend::KvType kv = backend::KvType::f16)
      : graph_(model.graph), device_(std::move(device)), weights_(model, *device_) {
    REQUIRE(!graph_.error());
    const auto stages = graph::plan_stages(graph_, {});
    REQUIRE(stages.size() == 1);
    program_ = device_->compile(graph_, stages[0], weights_.all(), {capacity, capacity}).value_or_throw();
    state_ = device_->make_state({graph_.kv_layers, graph_.recurrent_states, kv, kPageTokens}).value_or_throw();
    state_->reserve(backend::Piece::page, kPages * sequences).value_or_throw();
    state_->reserve(backend::Piece::slot, sequences).value_or_throw();
  }

  /// Sequence `i` from its start; its pages are scattered.
  Timeline start(int i, int sequences) {
    Timeline line{std::vector<int>(kPages), i, 0};
    for (int p = 0; p < kPages; ++p) line.pages[static_cast<std::size_t>(p)] = (kPages - 1 - p) * sequences + i;
    state_->clear_slot(i).value_or_throw();
    return line;
  }

  struct Part {
    Timeline* line;
    std::span<const std::int32_t> tokens;
  };
  /// One step; the logits of all its rows.
  std::vector<float> step(std::vector<Part> parts) {
    std::vector<std::int32_t> tokens, positions, outputs;
    std::vector<backend::SequenceStep> sequences;
    for (const Part& part : parts) {
      sequences.push_back({static_cast<int>(tokens.size()), static_cast<int>(part.tokens.size()), part.line->position,
                           part.line->pages, {}, part.line->slot});
      for (std::int32_t t : part.tokens) {
        tokens.push_back(t);
        positions.push_back(part.line->position++);
      }
    }
    outputs.resize(tokens.size());
    std::iota(outputs.begin(), outputs.end(), 0);
    program_->run({tokens, positions, outputs, sequences}, *state_).value_or_throw();
    std::vector<float> logits(tokens.size() * kVocabulary);
    program_->read(graph_.info(graph_.logits).storage, logits).value_or_throw();
    return logits;
  }

  backend::Program& program() { return *program_; }
  backend::StateStore& state() { return *state_; }
  backend::Device& device() { return *device_; }

 private:
  const Graph& graph_;
  std::unique_ptr<backend::Device> device_;
  LoadedWeights weights_;
  std::unique_ptr<backend::Program> program_;
  std::unique_ptr<backend::StateStore> state_;
};

inline std::unique_ptr<backend::Device> open_cpu(int threads, const std::string& isa = "") {
  backend::DeviceOptions options;
  options.threads = threads;
  options.isa = isa;
  return backend::open_cpu(options).value_or_throw();
}

/// Best first.
inline std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const kernels::IsaKernels* isa : kernels::isa_tables())
    if (isa->supported()) names.push_back(isa->name);
  return names;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace strata::test
