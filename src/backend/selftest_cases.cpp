// Owns: the scenarios of the self-test and the tolerance of each operation. Knows no device.
//
// Tolerances belong to operations, never to devices. They bound NMSE = sum (y - ref)^2 / sum ref^2; where every element
// has the relative error e, NMSE is e^2. One float rounding is e <= 2^-24 = 6e-8, NMSE 3.6e-15.
#include "backend/selftest_cases.h"

#include <cmath>

#include "base/text.h"
#include "kernels/formats/list.h"

namespace strata::backend::selftest_detail {

namespace {

using graph::Graph;
using graph::KeyHeads;
using graph::Tensor;

constexpr double kCopied = 0;         // elements are moved or decoded, never computed
constexpr double kRounded = 1e-14;    // one rounding
constexpr double kSummed = 1e-12;     // a sum of up to some thousand squares in float32, a root, a division: 16 ulp
constexpr double kFunction = 1e-11;   // exp, tanh, log, cos of the machine: 50 ulp
constexpr double kFloatDot = 1e-11;   // dot products of up to some thousand terms in float32, in any order: 50 ulp
constexpr double kRecurrent = 1e-11;  // float32 state carried over some hundred tokens
constexpr double kBlock = 1e-10;      // two layers of all this, where errors add up and soft choices amplify them
// Activations rounded to 8 bits with one scale for a block: a uniform error of (peak / 127)^2 / 12. The cut normal
// inputs here have a peak of at most 4 times their root mean square: 8.3e-5, and as much again for the spread of the
// few outputs that it is measured on.
constexpr double kEightBit = 1.7e-4;

bool is_float(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}
double dot_bound(TensorType type) { return is_float(type) ? kFloatDot : kEightBit; }

using Ne = std::array<std::uint64_t, 4>;

/// Steps of one, two and `many` rows, by one and then two sequences.
void usual_steps(Scenario& s, int many = 19) {
  s.sequences = 2;
  s.steps = {{{{0, 1}}}, {{{0, 1}, {1, 1}}}, {{{1, many}, {0, 2}}}};
}

struct List {
  std::vector<Scenario> all;
  Scenario& add(const std::string& op, double bound, const std::string& shape, const std::string& format = "") {
    all.emplace_back();
    all.back().op = op;
    all.back().shape = shape;
    all.back().format = format;
    all.back().bound = bound;
    return all.back();
  }
};

/// Elements in a row that suit a format: one block, a few, and some thousand.
std::vector<int> row_lengths(TensorType type) {
  const int block = static_cast<int>(type_info(type)->block);
  if (block == 1) return {1, 7, 33, 257, 2048};
  if (block < 256) return {block, 3 * block, 9 * block, 2048};
  return {block, 3 * block, 2048};
}

// --- operations on weights, for every format ---------------------------------------------------------------------------

void add_embed(List& list, TensorType type, int dim) {
  Scenario& s = list.add("embed", kCopied, str("[", dim, ", 37]"), type_name(type));
  s.mapped = dim % 2 == 0;
  s.output(s.graph.embed(s.weight("table", type, {static_cast<std::uint64_t>(dim), 37, 1, 1})));
  usual_steps(s);
}

/// Binds a scale of so many numbers with a weight.
graph::Weight scaled(Scenario& s, graph::Weight w, int scales) {
  if (scales == 0) return w;
  const graph::Weight scale = s.weight("s", TensorType::f32, {static_cast<std::uint64_t>(scales), 1, 1, 1});
  s.graph.weights[static_cast<std::size_t>(w.id)].scale = scale.id;
  return w;
}

void add_linear(List& list, TensorType type, int inputs, int outputs, int rows, bool bias) {
  Scenario& s = list.add("linear", dot_bound(type),
                         str("[", inputs, ", ", outputs, "] x ", rows, bias ? " + bias" : ""), type_name(type));
  s.mapped = !bias;
  const auto in = static_cast<std::uint64_t>(inputs), out = static_cast<std::uint64_t>(outputs);
  const Tensor x = s.input(1, inputs);
  const graph::Weight w = s.weight("w", type, {in, out, 1, 1});
  const graph::Weight b = bias ? s.weight("b", TensorType::f32, {out, 1, 1, 1}) : graph::Weight{};
  s.output(s.graph.linear(x, w, b));
  if (bias) s.output(s.graph.linear(x, scaled(s, s.weight("w scaled", type, {in, out, 1, 1}), 1), b));
  s.one_step(rows);
}

/// Activations that 8 bits with one scale hold exactly: what is left is the error of a sum in float32. This finds what
/// hides under kEightBit, such as a wrong scale of one group.
void add_linear_exact(List& list, TensorType type, int inputs) {
  Scenario& s = list.add("linear", kFloatDot, str("[", inputs, ", 67] x 5, 8-bit inputs"), type_name(type));
  const Tensor x = s.input(1, inputs, Fill::eight_bit);
  s.output(s.graph.linear(x, s.weight("w", type, {static_cast<std::uint64_t>(inputs), 67, 1, 1})));
  s.one_step(5);
}

void add_expert_linear(List& list, TensorType type, int inputs, int experts, int chosen, int rows) {
  Scenario& s = list.add("expert_linear", dot_bound(type),
                         str("[", inputs, ", 11, ", experts, "] x ", rows, ", ", chosen, " chosen"), type_name(type));
  const auto in = static_cast<std::uint64_t>(inputs), n = static_cast<std::uint64_t>(experts);
  const auto routing = s.graph.route(s.input(1, experts), {chosen, graph::Gating::softmax, true, 1.0f});
  for (int heads : {1, chosen}) {
    const Tensor x = s.input(heads, inputs);
    const graph::Weight w = s.weight(str("w", heads), type, {in, 11, n, 1});
    s.output(s.graph.expert_linear(x, w, routing));
    if (!is_float(type) || inputs > 300) continue;
    const graph::Weight bias = s.weight(str("b", heads), TensorType::f32, {11, n, 1, 1});
    s.output(s.graph.expert_linear(x, w, routing, bias));
    for (int scales : {1, experts})
      s.output(s.graph.expert_linear(x, scaled(s, s.weight(str("w", heads, scales), type, {in, 11, n, 1}), scales), routing, bias));
  }
  s.one_step(rows);
}

void add_head_linear(List& list, TensorType type, int inputs, int heads, int rows) {
  Scenario& s = list.add("head_linear", dot_bound(type), str("[", inputs, ", 21, ", heads, "] x ", rows), type_name(type));
  const Ne ne = {static_cast<std::uint64_t>(inputs), 21, static_cast<std::uint64_t>(heads), 1};
  const Tensor x = s.input(heads, inputs);
  for (int scales : {0, 1, heads}) s.output(s.graph.head_linear(x, scaled(s, s.weight("w", type, ne), scales)));
  s.one_step(rows);
}

void add_weights(List& list) {
  for (const formats::Format& format : formats::formats()) {
    const std::vector<int> lengths = row_lengths(format.type);
    for (int k : lengths) {
      add_embed(list, format.type, k);
      add_linear(list, format.type, k, 37, 3, k == lengths[1]);
      add_linear_exact(list, format.type, k);
    }
    for (int rows : {1, 2, 8, 33}) add_linear(list, format.type, lengths[1], 67, rows, false);
    add_linear(list, format.type, lengths[1], 1, 33, false);  // one row of weights; NMSE is measured on 33 numbers
    add_head_linear(list, format.type, lengths[1], 3, 9);
    add_head_linear(list, format.type, lengths[0], 16, 1);
    add_expert_linear(list, format.type, lengths[1], 5, 2, 9);
    add_expert_linear(list, format.type, lengths[0], 16, 4, 40);
    add_expert_linear(list, format.type, lengths[0], 3, 3, 1);
    add_expert_linear(list, format.type, lengths[0], 3, 1, 2);
  }
}

// --- operations on rows --------------------------------------------------------------------------------------------------

template <class Build>  // Tensor build(Scenario&)
void add_rows(List& list, const char* op, double bound, const std::string& shape, Build build) {
  Scenario& s = list.add(op, bound, shape);
  s.output(build(s));
  usual_steps(s);
}

using Binary = Tensor (Graph::*)(Tensor, Tensor);

/// Log-decays of x.
Tensor decay_of(Scenario& s, Tensor x) {
  const auto width = static_cast<std::uint64_t>(s.graph.info(x).width());
  const graph::Weight bias = s.weight("bias", TensorType::f32, {width, 1, 1, 1});
  const graph::Weight a = s.weight("a", TensorType::f32, {width, 1, 1, 1}, Fill::negative);
  return s.graph.decay(x, bias, a);
}

void add_element_wise(List& list) {
  const std::pair<const char*, Binary> gated[] = {
      {"swiglu", &Graph::swiglu}, {"geglu", &Graph::geglu}, {"swiglu_clamped", &Graph::swiglu_clamped}, {"sigmoid_gate", &Graph::sigmoid_gate}};
  for (int dim : {1, 33, 640}) {
    const std::string shape = str("[3, ", dim, "]");
    auto two = [dim](Scenario& s, Binary op) {
      const Tensor a = s.input(3, dim), b = s.input(3, dim);
      return (s.graph.*op)(a, b);
    };
    add_rows(list, "add", kRounded, shape, [&](Scenario& s) { return two(s, &Graph::add); });
    add_rows(list, "mul", kRounded, shape, [&](Scenario& s) { return two(s, &Graph::mul); });
    add_rows(list, "mul", kRounded, shape + " by head", [&](Scenario& s) {
      const Tensor x = s.input(3, dim), factor = s.input(1, 3);
      return s.graph.mul(x, factor);
    });
    for (const auto& [name, op] : gated)
      add_rows(list, name, kFunction, shape, [&, op = op](Scenario& s) { return two(s, op); });
    add_rows(list, "sigmoid_gate", kFunction, shape + " by one", [&](Scenario& s) {
      const Tensor x = s.input(3, dim), gate = s.input(1, 1);
      return s.graph.sigmoid_gate(x, gate);
    });
    add_rows(list, "scale", kRounded, shape, [&](Scenario& s) { return s.graph.scale(s.input(3, dim), 0.3f); });
    add_rows(list, "sigmoid", kFunction, shape, [&](Scenario& s) { return s.graph.sigmoid(s.input(3, dim)); });
    add_rows(list, "softcap", kFunction, shape, [&](Scenario& s) { return s.graph.softcap(s.input(3, dim), 0.7f); });
    add_rows(list, "decay", kFunction, shape, [&](Scenario& s) { return decay_of(s, s.input(3, dim)); });
  }
  // Where exp and tanh leave float32: silu and gelu tend to 0 and x, the sigmoid to 0 and 1, softplus to 0 and x.
  for (float far : {30.0f, 300.0f}) {
    const std::string shape = str("[64] times ", far);
    auto wide = [far](Scenario& s) { return s.graph.scale(s.input(1, 64), far); };
    for (const auto& [name, op] : gated)
      add_rows(list, name, kFunction, shape, [&, op = op](Scenario& s) {
        const Tensor x = wide(s), y = s.input(1, 64);
        return op == &Graph::sigmoid_gate ? (s.graph.*op)(y, x) : (s.graph.*op)(x, y);
      });
    add_rows(list, "sigmoid", kFunction, shape, [&](Scenario& s) { return s.graph.sigmoid(wide(s)); });
    add_rows(list, "softcap", kFunction, shape, [&](Scenario& s) { return s.graph.softcap(wide(s), 30.0f); });
    add_rows(list, "decay", kFunction, shape, [&](Scenario& s) { return decay_of(s, wide(s)); });
  }
}

void add_norms(List& list) {
  for (int dim : {1, 7, 128, 1000}) {
    const std::string shape = str("[3, ", dim, "]");
    const auto n = static_cast<std::uint64_t>(dim);
    for (TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16})
      add_rows(list, "rms_norm", kSummed, shape + " " + type_name(type), [&](Scenario& s) {
        const graph::Weight w = s.weight("w", type, {n, 1, 1, 1});
        return s.graph.rms_norm(s.input(3, dim), w, 1e-6f);
      });
    add_rows(list, "rms_norm", kSummed, shape,
             [&](Scenario& s) { return s.graph.rms_norm(s.input(3, dim), {}, 0.5f); });
    add_rows(list, "l2_norm", kSummed, shape, [&](Scenario& s) { return s.graph.l2_norm(s.input(3, dim), 1e-6f); });
    add_rows(list, "l2_norm", kSummed, shape + " below eps",
             [&](Scenario& s) { return s.graph.l2_norm(s.input(3, dim), 1e3f); });
    for (auto [first, second] : {std::pair{3, 3}, {1, 3}, {3, 1}})
      add_rows(list, "concat", kCopied, str(first, " of ", dim, ", ", second, " of 5"), [&, n = first, m = second](Scenario& s) {
        const Tensor a = s.input(n, dim), b = s.input(m, 5);
        return s.graph.concat(a, b);
      });
    add_rows(list, "match_norm", kSummed, shape, [&](Scenario& s) {
      const Tensor x = s.input(3, dim), y = s.input(3, dim);
      return s.graph.match_norm(x, y);
    });
    if (dim > 1)
      add_rows(list, "sparsify", kSummed, shape, [&](Scenario& s) { return s.graph.sparsify(s.input(3, dim), 0.4f); });
    add_rows(list, "mul", kRounded, shape + " by a weight", [&](Scenario& s) {
      const graph::Weight w = s.weight("w", TensorType::f32, {n, 1, 1, 1});
      return s.graph.mul(s.input(3, dim), w);
    });
    add_rows(list, "combine", kSummed, str("3 sums of 4 rows of ", dim), [&](Scenario& s) {
      const Tensor y = s.input(4, dim), weights = s.input(3, 4);
      return s.graph.combine(y, weights);
    });
    add_rows(list, "slice", kCopied, shape, [&](Scenario& s) { return s.graph.slice(s.input(3, dim + 5), 4, dim); });
  }
}

/// NaN and infinity in one row stay in that row, and arise where the reference has them.
void add_non_finite(List& list) {
  auto bad = [](Scenario& s) { return s.input(1, 40, Fill::non_finite); };
  add_rows(list, "add", kRounded, "non-finite", [&](Scenario& s) {
    const Tensor a = bad(s), b = bad(s);
    return s.graph.add(a, b);
  });
  add_rows(list, "scale", kRounded, "non-finite", [&](Scenario& s) { return s.graph.scale(bad(s), -2.0f); });
  add_rows(list, "rms_norm", kSummed, "non-finite", [&](Scenario& s) { return s.graph.rms_norm(bad(s), {}, 1e-5f); });
  add_rows(list, "slice", kCopied, "non-finite", [&](Scenario& s) { return s.graph.slice(bad(s), 2, 30); });
  add_rows(list, "gather", kCopied, "non-finite", [&](Scenario& s) { return s.graph.gather(bad(s)); });
  add_rows(list, "linear", kFloatDot, "non-finite", [&](Scenario& s) {
    const Tensor x = bad(s);
    return s.graph.linear(x, s.weight("w", TensorType::f32, {40, 9, 1, 1}));
  });
}

void add_rope(List& list) {
  for (bool adjacent : {false, true})
    for (int pairs : {1, 5, 16, 32})
      for (int start : {0, 100000}) {
        Scenario& s =
            list.add("rope", kFunction, str("[3, 64] ", pairs, adjacent ? " adjacent" : " split", " pairs at ", start));
        graph::RopeTable table;
        table.adjacent = adjacent;
        table.magnitude = pairs == 5 ? 1.19f : 1.0f;
        for (int i = 0; i < pairs; i++) table.frequency.push_back(std::pow(10000.0, -static_cast<double>(i) / pairs));
        s.start = start;
        s.output(s.graph.rope(s.input(3, 64), s.graph.rope_table(table)));
        usual_steps(s);
      }
  for (int pairs : {0, 5, 32}) {
    Scenario& s = list.add("rope", kFunction, str("[3, 64] ", pairs, " pairs under a temperature"));
    graph::RopeTable table;
    for (int i = 0; i < pairs; i++) table.frequency.push_back(std::pow(10000.0, -static_cast<double>(i) / pairs));
    table.growth = 0.4;
    table.period = 3;
    table.offset = 1;
    s.output(s.graph.rope(s.input(3, 64), s.graph.rope_table(table)));
    usual_steps(s);
  }
}

/// Frequencies that depend on what the sequence is made for.
void add_long_rope(List& list) {
  for (int context : {100, 101}) {
    Scenario& s = list.add("rope", kFunction, str("[3, 64] made for ", context, " positions, long from 100"));
    graph::RopeTable table;
    for (int i = 0; i < 16; i++) table.frequency.push_back(std::pow(100.0, -i / 16.0));
    for (int i = 0; i < 16; i++) table.long_frequency.push_back(std::pow(100.0, -i / 16.0) / (1 + i));
    table.long_from = 100;
    s.context = context;
    s.output(s.graph.rope(s.input(3, 64), s.graph.rope_table(table)));
    usual_steps(s);
  }
}

void add_gather(List& list) {
  Scenario& s = list.add("gather", kCopied, "[2, 33]");
  s.output(s.graph.gather(s.input(2, 33)));
  usual_steps(s);
  s.steps.push_back({{{0, 4}, {1, 4}}, false});
  s.steps.push_back({{{1, 5}}, true});
}

// --- operations that remember ----------------------------------------------------------------------------------------------

/// Several steps of unequal length by three sequences, past a page's end and past 256 positions, and a fork.
void long_steps(Scenario& s) {
  s.sequences = 4;
  s.steps = {{{{0, 1}}},
             {{{0, 130}, {1, 3}}},
             {{{1, 62}, {0, 1}, {2, 17}}},
             {{{0, 140}}},
             {{{0, 1}, {1, 1}, {2, 1}}},
             {{{3, 2}, {0, 5}}, true, 0, 3},
             {{{0, 1}, {3, 1}, {2, 64}}}};
}

void add_attention(List& list) {
  struct Shape {
    int heads, kv_heads, k_dim, v_dim, page;
  };
  for (Shape a : {Shape{1, 1, 1, 1, 1}, Shape{6, 2, 40, 24, 64}, Shape{4, 4, 64, 64, 16}, Shape{8, 1, 128, 128, 64},
                  Shape{3, 3, 33, 7, 5}})
    for (auto [type, name] : {std::pair(KvType::f32, "f32"), {KvType::f16, "f16"}, {KvType::q8_0, "q8_0"}, {KvType::q4_0, "q4_0"}}) {
      const auto block = static_cast<int>(type_info(cache_type(type))->block);
      if (a.k_dim % block != 0 || a.v_dim % block != 0) continue;
      Scenario& s = list.add("attention", kFloatDot,
                             str(a.heads, "/", a.kv_heads, " heads of ", a.k_dim, "/", a.v_dim, ", pages of ", a.page), name);
      s.kv_type = type;
      s.page_tokens = a.page;
      const Tensor q = s.input(a.heads, a.k_dim), k = s.input(a.kv_heads, a.k_dim), v = s.input(a.kv_heads, a.v_dim);
      s.output(s.graph.attention(q, k, v, {1.0f / std::sqrt(static_cast<float>(a.k_dim))}));
      long_steps(s);
    }
  // What narrows attention: windows that slide or stand, shorter and longer than a page and a split; caps; sinks.
  struct Narrow {
    const char* name;
    graph::AttentionParams params;
    bool sinks = false;
  };
  for (const Narrow& n : {Narrow{"a window of 1", {0.3f, 1}}, Narrow{"a window of 7", {0.3f, 7}},
                          Narrow{"a window of 100, sinks", {0.3f, 100}, true}, Narrow{"a window of 1000", {0.3f, 1000}},
                          Narrow{"chunks of 30", {0.3f, 30, true}}, Narrow{"a cap", {2.0f, 0, false, 1.5f}},
                          Narrow{"sinks", {0.3f}, true}, Narrow{"a window of 20, a cap, sinks", {0.5f, 20, false, 3.0f}, true}})
    for (KvType type : {KvType::f32, KvType::f16}) {
      Scenario& s = list.add("attention", kFloatDot, str("6/2 heads of 32/24, ", n.name), type == KvType::f16 ? "f16" : "f32");
      s.kv_type = type;
      s.page_tokens = 16;
      const Tensor q = s.input(6, 32), k = s.input(2, 32), v = s.input(2, 24);
      const graph::Weight sinks = n.sinks ? s.weight("sinks", TensorType::f32, {6, 1, 1, 1}) : graph::Weight{};
      s.output(s.graph.attention(q, k, v, n.params, sinks));
      // Another layer reads the same cache, its own way.
      const Tensor other = s.input(4, 32);
      s.output(s.graph.attention_over(0, other, n.params));
      long_steps(s);
    }
  for (auto [k_dim, v_dim] : {std::pair{576, 512}, {40, 32}, {33, 7}, {24, 24}})
    for (KvType type : {KvType::f32, KvType::f16}) {
      Scenario& s = list.add("attention", kFloatDot, str("5/1 heads of ", k_dim, ", values within keys of ", v_dim),
                             type == KvType::f16 ? "f16" : "f32");
      s.kv_type = type;
      const Tensor q = s.input(5, k_dim), k = s.input(1, k_dim);
      s.output(s.graph.attention_within_keys(q, k, v_dim, {1.0f / std::sqrt(static_cast<float>(k_dim))}));
      long_steps(s);
    }
  // Two layers in one page; scores so large that all but the best vanish.
  Scenario& s = list.add("attention", kFloatDot, "2 layers, sharp", "f16");
  for (float scale : {1.0f, 4.0f}) {
    const Tensor q = s.input(2, 32), k = s.input(1, 32), v = s.input(1, 48);
    s.output(s.graph.attention(q, k, v, {scale}));
  }
  long_steps(s);
}

void add_short_conv(List& list) {
  for (int taps : {1, 2, 3, 4})
    for (int channels : {1, 33, 256}) {
      const bool silu = taps != 3;
      Scenario& s = list.add("short_conv", silu ? kFunction : kSummed,
                             str("[", taps, ", ", channels, "]", silu ? "" : ", no activation"));
      const Ne ne = {static_cast<std::uint64_t>(taps), static_cast<std::uint64_t>(channels), 1, 1};
      const Tensor x = s.input(1, channels);
      s.output(s.graph.short_conv(x, s.weight("w", TensorType::f32, ne), silu));
      long_steps(s);
    }
}

void add_delta_net(List& list) {
  struct Shape {
    int k_heads, v_heads, k_dim, v_dim;
    KeyHeads order = KeyHeads::tiled;
  };
  for (Shape d : {Shape{1, 1, 1, 1}, Shape{2, 6, 48, 20}, Shape{2, 6, 48, 20, KeyHeads::grouped},
                  Shape{4, 4, 128, 128}, Shape{1, 2, 7, 33}}) {
    const char* order = d.order == KeyHeads::grouped ? ", grouped" : "";
    Scenario& s =
        list.add("delta_net", kRecurrent, str(d.k_heads, "/", d.v_heads, " heads of ", d.k_dim, "/", d.v_dim, order));
    Graph& g = s.graph;
    const Tensor q = g.l2_norm(s.input(d.k_heads, d.k_dim), 1e-6f), k = g.l2_norm(s.input(d.k_heads, d.k_dim), 1e-6f);
    const Tensor v = s.input(d.v_heads, d.v_dim);
    const Tensor decay = s.input(1, d.v_heads, Fill::negative), beta = s.input(1, d.v_heads, Fill::unit);
    s.output(g.delta_net(q, k, v, decay, beta, d.order));
    long_steps(s);
  }
  // Hardly any decay: the state holds all that came.
  Scenario& s = list.add("delta_net", kRecurrent, "slow decay");
  Graph& g = s.graph;
  const Tensor q = g.l2_norm(s.input(2, 32), 1e-6f), k = g.l2_norm(s.input(2, 32), 1e-6f);
  const Tensor v = s.input(2, 32), decay = g.scale(s.input(1, 2, Fill::negative), 1e-4f);
  s.output(g.delta_net(q, k, v, decay, s.input(1, 2, Fill::unit), KeyHeads::tiled));
  long_steps(s);
}

void add_experts(List& list) {
  for (graph::Gating gating : {graph::Gating::softmax, graph::Gating::sigmoid})
    for (bool normalise : {false, true})
      for (Fill fill : {Fill::normal, Fill::ties})
        for (int experts : {1, 7, 128}) {
          const int chosen = std::min(experts, 8);
          Scenario& s =
              list.add("route", kFunction,
                       str(chosen, " of ", experts, gating == graph::Gating::softmax ? " softmax" : " sigmoid",
                           normalise ? " normalised" : "", fill == Fill::ties ? ", ties" : ""));
          const auto routing =
              s.graph.route(s.input(1, experts, fill), {chosen, gating, normalise, normalise ? 2.5f : 0.0f});
          s.output(routing.experts);
          s.output(routing.weights);
          usual_steps(s);
        }
  for (graph::Gating gating : {graph::Gating::softmax, graph::Gating::sigmoid})
    for (int experts : {7, 128}) {
      Scenario& s = list.add("route", kFunction, str("3 of ", experts, gating == graph::Gating::softmax ? " softmax" : " sigmoid",
                                                     ", biased"));
      const graph::Weight bias = s.weight("bias", TensorType::f32, {static_cast<std::uint64_t>(experts), 1, 1, 1});
      const auto routing = s.graph.route(s.input(1, experts), {3, gating, true, 1.0f}, bias);
      s.output(routing.experts);
      s.output(routing.weights);
      usual_steps(s);
    }
  struct Groups {
    int experts, chosen, groups, used;
  };
  for (Groups n : {Groups{8, 3, 4, 2}, Groups{6, 2, 6, 3}, Groups{256, 8, 8, 4}})
    for (bool biased : {false, true})
      for (Fill fill : {Fill::normal, Fill::ties}) {
        Scenario& s = list.add("route", kFunction, str(n.chosen, " of ", n.experts, " in ", n.used, " of ", n.groups, " groups",
                                                       biased ? ", biased" : "", fill == Fill::ties ? ", ties" : ""));
        graph::Weight bias;
        if (biased) bias = s.weight("bias", TensorType::f32, {static_cast<std::uint64_t>(n.experts), 1, 1, 1});
        const auto routing = s.graph.route(
            s.input(1, n.experts, fill), {n.chosen, graph::Gating::sigmoid, true, 2.5f, n.groups, n.used}, bias);
        s.output(routing.experts);
        s.output(routing.weights);
        usual_steps(s);
      }
  for (int chosen : {1, 4}) {
    Scenario& s = list.add("combine", kSummed, str("[", chosen, ", 33]"));
    const auto routing = s.graph.route(s.input(1, 6), {chosen, graph::Gating::softmax, true, 1.0f});
    const Tensor y = s.input(chosen, 33);
    s.output(s.graph.combine(y, routing));
    s.output(s.graph.combine(y));
    usual_steps(s);
  }
}

}  // namespace

namespace {

constexpr int kWidth = 48, kExperts = 6;

/// Makes the two layers. Weights have unit gain, so that no activation grows from layer to layer.
class BlockMaker {
 public:
  Scenario s;

  void attention_layer() {
    const Tensor h = norm(x_);
    const Tensor q_gate = heads(linear(h, 4 * 24), 4, 24);  // query and gate of each head
    const Tensor q = rope(norm(g().slice(q_gate, 0, 12))), gate = g().slice(q_gate, 12, 12);
    const Tensor k = rope(norm(heads(linear(h, 2 * 12), 2, 12))), v = heads(linear(h, 2 * 12), 2, 12);
    residual(linear(g().sigmoid_gate(g().attention(q, k, v, {0.29f}), gate), kWidth));
    const Tensor f = norm(x_), wide = linear(f, 80), up = linear(f, 80);
    residual(linear(g().geglu(wide, up), kWidth));
  }

  void recurrent_layer() {
    const Tensor h = norm(x_), in = linear(h, 72);
    const Tensor c = g().short_conv(in, s.weight("conv", TensorType::f32, {4, 72, 1, 1}), /*silu=*/true);
    const Tensor q = g().l2_norm(heads(g().slice(c, 0, 16), 2, 8), 1e-6f);
    const Tensor k = g().l2_norm(heads(g().slice(c, 16, 16), 2, 8), 1e-6f), v = heads(g().slice(c, 32, 40), 4, 10);
    const Tensor decay = decay_of(s, linear(h, 4)), beta = g().sigmoid(linear(h, 4));
    residual(linear(norm(g().delta_net(q, k, v, decay, beta, KeyHeads::tiled)), kWidth));
    const Tensor f = norm(x_);
    const auto routing = g().route(linear(f, kExperts), {2, graph::Gating::softmax, true, 1.0f});
    const Tensor gate = experts(f, 30, routing), up = experts(f, 30, routing);
    residual(g().combine(experts(g().swiglu(gate, up), kWidth, routing), routing));
  }

  void model() {
    s.graph.layers = 2;
    rope_ = g().rope_table({{1.0, 0.1, 0.01, 0.001}, 1.0f, false});
    x_ = g().embed(s.weight("table", TensorType::f32, {kWidth, 61, 1, 1}));
    g().enter_layer(0);
    attention_layer();
    g().enter_layer(1);
    recurrent_layer();
    g().enter_layer(2);
    g().hidden = norm(g().gather(x_));
    g().logits = linear(g().hidden, 61);
    s.output(g().hidden);
    s.output(g().logits);
  }

 private:
  Graph& g() { return s.graph; }
  Tensor norm(Tensor x) { return g().rms_norm(x, {}, 1e-6f); }
  Tensor rope(Tensor x) { return g().rope(x, rope_); }
  Tensor heads(Tensor x, int n, int dim) { return g().heads(x, n, dim); }
  void residual(Tensor y) { x_ = g().add(x_, y); }
  Tensor unit_gain(Tensor y, std::uint64_t inputs) {
    return g().scale(y, 1.0f / std::sqrt(static_cast<float>(inputs)));
  }
  Tensor linear(Tensor x, std::uint64_t outputs) {
    const std::uint64_t inputs = g().info(x).width();
    return unit_gain(g().linear(x, s.weight("w", TensorType::f32, {inputs, outputs, 1, 1})), inputs);
  }
  Tensor experts(Tensor x, std::uint64_t outputs, const Graph::Routing& routing) {
    const auto inputs = static_cast<std::uint64_t>(g().info(x).dim);
    const graph::Weight w = s.weight("experts", TensorType::f32, {inputs, outputs, kExperts, 1});
    return unit_gain(g().expert_linear(x, w, routing), inputs);
  }

  Tensor x_;
  int rope_ = 0;
};

}  // namespace

Scenario block_scenario(bool two_stages, KvType kv_type) {
  BlockMaker maker;
  maker.model();
  Scenario s = std::move(maker.s);
  s.op = "block";
  s.format = kv_type == KvType::f16 ? "f16" : "f32";
  s.shape = two_stages ? "2 layers in two stages" : "2 layers";
  s.bound = kBlock;
  s.kv_type = kv_type;
  s.page_tokens = 16;
  s.two_stages = two_stages;
  s.sequences = 3;
  s.steps = {{{{0, 20}}}, {{{0, 1}, {1, 33}}}, {{{2, 2}, {0, 1}}, true, 0, 2}, {{{1, 1}, {2, 5}, {0, 1}}}};
  return s;
}

std::vector<Scenario> all_scenarios() {
  List list;
  add_weights(list);
  add_element_wise(list);
  add_norms(list);
  add_non_finite(list);
  add_rope(list);
  add_long_rope(list);
  add_gather(list);
  add_attention(list);
  add_short_conv(list);
  add_delta_net(list);
  add_experts(list);
  for (KvType type : {KvType::f32, KvType::f16})
    for (bool two : {false, true}) list.all.push_back(block_scenario(two, type));
  return std::move(list.all);
}

}  // namespace strata::backend::selftest_detail
