// Owns: recording nodes and checking shapes as they are recorded. Knows no backend, file or architecture.
#include "graph/graph.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace strata::graph {

namespace {

/// Widths are products of file sizes; everything above this is refused, so that products stay in an int.
constexpr std::uint64_t kMaxWidth = 1u << 30;

bool is_float(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

}  // namespace

const char* name(Op op) {
  constexpr const char* kNames[] = {"embed",   "gather", "rms_norm",     "l2_norm", "match_norm", "sparsify", "linear", "head_linear", "add", "mul",
                                    "scale",   "swiglu", "geglu",        "swiglu_clamped", "softcap", "sigmoid", "sigmoid_gate", "decay",
                                    "slice",   "concat", "rope",   "attention",    "short_conv", "delta_net", "route",
                                    "expert_linear", "combine"};
  return kNames[static_cast<std::size_t>(op)];
}

std::string shape(const WeightInfo& weight) {
  std::string out = str("[", weight.ne[0]);
  for (std::size_t d = 1; d < 4; ++d)
    if (weight.ne[d] != 1 || (d == 1 && weight.ne[2] != 1)) out += str(", ", weight.ne[d]);
  return out + "]";
}

void Graph::reject(Error error) {
  if (!error_) error_ = std::move(error);
}

Weight Graph::weight(WeightInfo info) {
  weights.push_back(std::move(info));
  return {static_cast<int>(weights.size()) - 1};
}

int Graph::rope_table(RopeTable table) {
  ropes.push_back(std::move(table));
  return static_cast<int>(ropes.size()) - 1;
}

/// Names a tensor by the nearest weight it came through, which is what a user can look up.
std::string Graph::describe(Tensor t) const {
  for (int id = t.id; id >= 0;) {
    const TensorInfo& x = info({id});
    if (x.storage != id) { id = x.storage; continue; }
    if (x.producer < 0) break;
    const Node& node = nodes[static_cast<std::size_t>(x.producer)];
    if (node.weight[0] >= 0)
      return str("the output of ", weights[static_cast<std::size_t>(node.weight[0])].name, " ",
                 shape(weights[static_cast<std::size_t>(node.weight[0])]));
    id = node.in[0];
  }
  return "the input";
}

bool Graph::valid(std::initializer_list<Tensor> list) const {
  return !error_ && std::all_of(list.begin(), list.end(), [&](Tensor t) {
    return t.id >= 0 && t.id < static_cast<int>(tensors.size());
  });
}

Tensor Graph::record(Op op, Rows rows, int heads, int dim, std::initializer_list<Tensor> in,
                     std::initializer_list<Weight> w, Params params) {
  // Models never ask for a scale; it comes with its weight, and nothing but a product applies it.
  const bool product = op == Op::linear || op == Op::head_linear || op == Op::expert_linear;
  for (Weight x : w)
    if (x && !product && scale_of(x))
      reject(fail(ErrorCode::unsupported, weights[static_cast<std::size_t>(x.id)].name, ": has a scale beside it, which ", name(op),
                  " does not apply"));
  Node node;
  node.op = op;
  node.layer = layer_;
  node.params = std::move(params);
  std::transform(in.begin(), in.end(), node.in.begin(), [](Tensor t) { return t.id; });
  std::transform(w.begin(), w.end(), node.weight.begin(), [](Weight x) { return x.id; });
  int id = static_cast<int>(tensors.size());
  tensors.push_back({rows, Element::f32, heads, dim, id, static_cast<int>(nodes.size())});
  node.out[0] = id;
  nodes.push_back(std::move(node));
  return {id};
}

/// What carries state from token to token must see every token of a step.
bool Graph::per_token(const char* op, std::initializer_list<Tensor> inputs) {
  for (Tensor t : inputs)
    if (info(t).rows != Rows::tokens) {
      reject(fail(ErrorCode::unsupported, op, " of layer ", layer_, ": an input holds only the rows whose logits are wanted"));
      return false;
    }
  return true;
}

bool Graph::expect_vector(Weight w, int width) { return expect_matrix(w, width, 1); }

/// Small weights that are not multiplied with but added and the like: [width, rows] of floats.
bool Graph::expect_matrix(Weight w, int width, int rows) {
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  if (weight.ne[0] == static_cast<std::uint64_t>(width) && weight.ne[1] == static_cast<std::uint64_t>(rows) &&
      weight.ne[2] * weight.ne[3] == 1 && is_float(weight.type))
    return true;
  reject(fail(ErrorCode::bad_file, weight.name, ": ", type_name(weight.type), " ", shape(weight), " where ",
              rows == 1 ? str("a float vector of ", width) : str("float [", width, ", ", rows, "]"), " is needed"));
  return false;
}

/// Of one number, or one for each of the weight's matrices.
bool Graph::expect_scale(Weight w) {
  const Weight scale = scale_of(w);
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  if (!scale || weights[static_cast<std::size_t>(scale.id)].ne[0] == 1) return !scale || expect_vector(scale, 1);
  return expect_vector(scale, static_cast<int>(weight.ne[2]));
}

Tensor Graph::same_shape(Op op, Tensor a, Tensor b) {
  if (!valid({a, b})) return {};
  const TensorInfo &x = info(a), &y = info(b);
  if (x.width() != y.width() || x.rows != y.rows) {
    reject(fail(ErrorCode::bad_file, describe(b), " has width ", y.width(), " where ", name(op), " needs ", x.width(),
                " to match ", describe(a)));
    return {};
  }
  return record(op, x.rows, x.heads, x.dim, {a, b});
}

Tensor Graph::input(int dim) {
  const int id = static_cast<int>(tensors.size());
  tensors.push_back({Rows::tokens, Element::f32, 1, dim, id, -1});
  return {id};
}

template <class Apply>
Tensor Graph::with_low_rank(Tensor y, Weight w, Apply apply) {
  const auto [first, last] = low_rank.equal_range(w.id);
  for (auto change = first; change != last; ++change) {
    change->second.used = true;
    y = add(y, scale(apply(change->second.a, change->second.b), change->second.factor));
  }
  return y;
}

Tensor Graph::embed(Weight table) {
  if (error_) return {};
  const WeightInfo& w = weights[static_cast<std::size_t>(table.id)];
  if (w.ne[2] * w.ne[3] != 1 || w.ne[0] > kMaxWidth || w.ne[1] > kMaxWidth) {
    reject(fail(ErrorCode::bad_file, w.name, ": ", shape(w), " is no embedding table [width, vocabulary]"));
    return {};
  }
  Tensor x = record(Op::embed, Rows::tokens, 1, static_cast<int>(w.ne[0]), {}, {table});
  return with_low_rank(x, table, [&](Weight a, Weight b) { return linear(embed(a), b); });
}

Tensor Graph::gather(Tensor x) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  return record(Op::gather, Rows::outputs, in.heads, in.dim, {x});
}

Tensor Graph::rms_norm(Tensor x, Weight w, float eps) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  if (w && !expect_vector(w, in.dim)) return {};
  return record(Op::rms_norm, in.rows, in.heads, in.dim, {x}, {w}, NormParams{eps});
}

Tensor Graph::l2_norm(Tensor x, float eps) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  return record(Op::l2_norm, in.rows, in.heads, in.dim, {x}, {}, NormParams{eps});
}

Tensor Graph::match_norm(Tensor x, Tensor y) {
  if (valid({x, y}) && info(x).heads != info(y).heads) {
    reject(fail(ErrorCode::bad_file, describe(y), ": ", info(y).heads, " heads where match_norm needs ", info(x).heads));
    return {};
  }
  return same_shape(Op::match_norm, x, y);
}

Tensor Graph::sparsify(Tensor x, float deviations) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  if (in.dim < 2) {
    reject(fail(ErrorCode::bad_file, describe(x), ": the deviation of ", in.dim, " element is not defined"));
    return {};
  }
  return record(Op::sparsify, in.rows, in.heads, in.dim, {x}, {}, SparsifyParams{deviations});
}

Tensor Graph::linear(Tensor x, Weight w, Weight bias) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  if (weight.ne[0] != in.width() || weight.ne[2] * weight.ne[3] != 1 || weight.ne[1] > kMaxWidth) {
    reject(fail(ErrorCode::bad_file, weight.name, ": shape ", shape(weight), " where [", in.width(),
                ", outputs] is needed to multiply ", describe(x)));
    return {};
  }
  int outputs = static_cast<int>(weight.ne[1]);
  if (bias && !expect_vector(bias, outputs)) return {};
  if (!expect_scale(w)) return {};
  return with_low_rank(record(Op::linear, in.rows, 1, outputs, {x}, {w, bias, scale_of(w)}), w,
                       [&](Weight a, Weight b) { return linear(linear(x, a), b); });
}

Tensor Graph::head_linear(Tensor x, Weight w) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  if (weight.ne[0] != static_cast<std::uint64_t>(in.dim) || weight.ne[1] > kMaxWidth / static_cast<std::uint64_t>(in.heads) ||
      weight.ne[2] != static_cast<std::uint64_t>(in.heads) || weight.ne[3] != 1) {
    reject(fail(ErrorCode::bad_file, weight.name, ": shape ", shape(weight), " where [", in.dim, ", outputs, ", in.heads,
                "] is needed to multiply each head of ", describe(x)));
    return {};
  }
  if (!expect_scale(w)) return {};
  Tensor y = record(Op::head_linear, in.rows, in.heads, static_cast<int>(weight.ne[1]), {x}, {w, {}, scale_of(w)});
  return with_low_rank(y, w, [&](Weight a, Weight b) { return head_linear(head_linear(x, a), b); });
}

Tensor Graph::add(Tensor a, Tensor b) { return same_shape(Op::add, a, b); }
Tensor Graph::mul(Tensor a, Tensor b) {
  if (!valid({a, b})) return {};
  TensorInfo x = info(a);
  if (info(b).width() != static_cast<std::size_t>(x.heads) || info(b).rows != x.rows) return same_shape(Op::mul, a, b);
  return record(Op::mul, x.rows, x.heads, x.dim, {a, b});
}
Tensor Graph::mul(Tensor a, Weight w) {
  if (!valid({a})) return {};
  TensorInfo in = info(a);
  if (!expect_vector(w, in.dim)) return {};
  return record(Op::mul, in.rows, in.heads, in.dim, {a}, {w});
}

Tensor Graph::swiglu(Tensor gate, Tensor up) { return same_shape(Op::swiglu, gate, up); }
Tensor Graph::geglu(Tensor gate, Tensor up) { return same_shape(Op::geglu, gate, up); }
Tensor Graph::swiglu_clamped(Tensor gate, Tensor up) { return same_shape(Op::swiglu_clamped, gate, up); }

Tensor Graph::softcap(Tensor x, float cap) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  return record(Op::softcap, in.rows, in.heads, in.dim, {x}, {}, CapParams{cap});
}

Tensor Graph::scale(Tensor x, float factor) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  return record(Op::scale, in.rows, in.heads, in.dim, {x}, {}, ScaleParams{factor});
}

Tensor Graph::sigmoid(Tensor x) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  return record(Op::sigmoid, in.rows, in.heads, in.dim, {x});
}

Tensor Graph::sigmoid_gate(Tensor x, Tensor gate) {
  if (!valid({x, gate})) return {};
  TensorInfo in = info(x);
  if (info(gate).width() != 1 || info(gate).rows != in.rows) return same_shape(Op::sigmoid_gate, x, gate);
  return record(Op::sigmoid_gate, in.rows, in.heads, in.dim, {x, gate});
}

Tensor Graph::decay(Tensor x, Weight bias, Weight a) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  int width = static_cast<int>(in.width());
  if (!expect_vector(bias, width) || !expect_vector(a, width)) return {};
  return record(Op::decay, in.rows, in.heads, in.dim, {x}, {bias, a});
}

Tensor Graph::heads(Tensor x, int heads, int dim) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  if (heads < 1 || dim < 1 || in.width() != static_cast<std::size_t>(heads) * static_cast<std::size_t>(dim)) {
    reject(fail(ErrorCode::bad_file, describe(x), ": width ", in.width(), " where ", heads, " heads of ", dim,
                " are needed"));
    return {};
  }
  in.heads = heads;
  in.dim = dim;
  tensors.push_back(in);
  return {static_cast<int>(tensors.size()) - 1};
}

Tensor Graph::slice(Tensor x, int begin, int dim) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  if (begin < 0 || dim < 1 || begin > in.dim - dim) {
    reject(fail(ErrorCode::bad_file, describe(x), ": elements ", begin, " to ", static_cast<std::int64_t>(begin) + dim,
                " are needed of ", in.dim));
    return {};
  }
  return record(Op::slice, in.rows, in.heads, dim, {x}, {}, SliceParams{begin});
}

Tensor Graph::concat(Tensor a, Tensor b) {
  if (!valid({a, b})) return {};
  const TensorInfo x = info(a), y = info(b);
  const int heads = std::max(x.heads, y.heads);
  if ((x.heads != y.heads && std::min(x.heads, y.heads) != 1) || x.rows != y.rows ||
      static_cast<std::uint64_t>(heads) * (static_cast<std::uint64_t>(x.dim) + static_cast<std::uint64_t>(y.dim)) > kMaxWidth) {
    reject(fail(ErrorCode::bad_file, describe(a), ": ", x.heads, " heads of ", x.dim, " cannot be joined with ", y.heads,
                " of ", y.dim, " of ", describe(b)));
    return {};
  }
  return record(Op::concat, x.rows, heads, x.dim + y.dim, {a, b});
}

Tensor Graph::rope(Tensor x, int table) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  std::size_t pairs = ropes[static_cast<std::size_t>(table)].frequency.size();
  if (2 * pairs > static_cast<std::size_t>(in.dim)) {
    reject(fail(ErrorCode::bad_file, "rope.dimension_count: ", 2 * pairs, " exceeds the head's ", in.dim));
    return {};
  }
  return record(Op::rope, in.rows, in.heads, in.dim, {x}, {}, RopeParams{table});
}

Tensor Graph::attention(Tensor q, Tensor k, Tensor v, AttentionParams params, Weight sinks) {
  if (!valid({q, k, v})) return {};
  TensorInfo qi = info(q), ki = info(k), vi = info(v);
  if (!per_token("attention", {q, k, v})) return {};
  if (qi.dim != ki.dim || ki.heads != vi.heads || qi.heads % ki.heads != 0) {
    reject(fail(ErrorCode::bad_file, "attention of layer ", layer_, ": ", qi.heads, " query heads of ", qi.dim, ", ",
                ki.heads, " key heads of ", ki.dim, " and ", vi.heads, " value heads of ", vi.dim, " do not fit together"));
    return {};
  }
  if (sinks && !expect_vector(sinks, qi.heads)) return {};
  params.kv = static_cast<int>(kv_layers.size());
  kv_layers.push_back({layer_, ki.heads, ki.dim, vi.dim, params.window});
  return record(Op::attention, qi.rows, 1, qi.heads * vi.dim, {q, k, v}, {sinks}, params);
}

Tensor Graph::attention_within_keys(Tensor q, Tensor k, int v_dim, AttentionParams params) {
  if (!valid({q, k}) || !per_token("attention", {q, k})) return {};
  const TensorInfo qi = info(q), ki = info(k);
  if (qi.dim != ki.dim || qi.heads % ki.heads != 0 || v_dim < 1 || v_dim > ki.dim) {
    reject(fail(ErrorCode::bad_file, "attention of layer ", layer_, ": ", qi.heads, " query heads of ", qi.dim, " and ", ki.heads,
                " key heads of ", ki.dim, " with values of ", v_dim, " do not fit together"));
    return {};
  }
  params.kv = static_cast<int>(kv_layers.size());
  params.v_dim = v_dim;
  kv_layers.push_back({layer_, ki.heads, ki.dim, 0, params.window});
  return record(Op::attention, qi.rows, 1, qi.heads * v_dim, {q, k}, {}, params);
}

Tensor Graph::attention_over(int kv, Tensor q, AttentionParams params, Weight sinks) {
  if (!valid({q})) return {};
  TensorInfo qi = info(q);
  if (!per_token("attention", {q})) return {};
  if (kv < 0 || kv >= static_cast<int>(kv_layers.size()) || kv_layers[static_cast<std::size_t>(kv)].v_dim == 0 || qi.dim != kv_layers[static_cast<std::size_t>(kv)].k_dim ||
      qi.heads % kv_layers[static_cast<std::size_t>(kv)].kv_heads != 0) {
    reject(fail(ErrorCode::bad_file, "attention of layer ", layer_, ": ", qi.heads, " query heads of ", qi.dim,
                " do not fit the keys of an earlier layer that it shares"));
    return {};
  }
  if (sinks && !expect_vector(sinks, qi.heads)) return {};
  KvLayer& cache = kv_layers[static_cast<std::size_t>(kv)];
  // What the widest reader sees must stay.
  cache.window = cache.window == 0 || params.window == 0 ? 0 : std::max(cache.window, params.window);
  params.kv = kv;
  return record(Op::attention, qi.rows, 1, qi.heads * cache.v_dim, {q}, {sinks}, params);
}

Tensor Graph::short_conv(Tensor x, Weight w, bool silu) {
  if (!valid({x})) return {};
  TensorInfo in = info(x);
  if (!per_token("short_conv", {x})) return {};
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  if (weight.ne[0] < 1 || weight.ne[0] > 64 || weight.ne[1] != in.width() || weight.ne[2] * weight.ne[3] != 1 ||
      !is_float(weight.type)) {
    reject(fail(ErrorCode::bad_file, weight.name, ": ", type_name(weight.type), " ", shape(weight),
                " where float [taps <= 64, ", in.width(), "] is needed"));
    return {};
  }
  recurrent_states.push_back({layer_, (weight.ne[0] - 1) * in.width()});
  return record(Op::short_conv, in.rows, in.heads, in.dim, {x}, {w},
                ConvParams{static_cast<int>(recurrent_states.size()) - 1, silu});
}

Tensor Graph::delta_net(Tensor q, Tensor k, Tensor v, Tensor log_decay, Tensor beta, KeyHeads order) {
  if (!valid({q, k, v, log_decay, beta})) return {};
  TensorInfo qi = info(q), ki = info(k), vi = info(v);
  if (!per_token("delta_net", {q, k, v, log_decay, beta})) return {};
  auto per_head = static_cast<std::size_t>(vi.heads);
  if (qi.dim != ki.dim || qi.heads != ki.heads || vi.heads % ki.heads != 0 || info(log_decay).width() != per_head ||
      info(beta).width() != per_head) {
    reject(fail(ErrorCode::bad_file, "Gated DeltaNet of layer ", layer_, ": ", qi.heads, " key heads of ", qi.dim, ", ",
                vi.heads, " value heads, ", info(log_decay).width(), " decays and ", info(beta).width(),
                " betas do not fit together"));
    return {};
  }
  recurrent_states.push_back({layer_, per_head * static_cast<std::size_t>(vi.dim) * static_cast<std::size_t>(ki.dim)});
  return record(Op::delta_net, vi.rows, vi.heads, vi.dim, {q, k, v, log_decay, beta}, {},
                DeltaParams{static_cast<int>(recurrent_states.size()) - 1, order});
}

Graph::Routing Graph::route(Tensor router, const RouteParams& params, Weight bias) {
  if (!valid({router})) return {};
  TensorInfo in = info(router);
  if (params.chosen < 1 || static_cast<std::size_t>(params.chosen) > in.width()) {
    reject(fail(ErrorCode::bad_file, "expert_used_count: ", params.chosen, " of ", in.width(), " experts"));
    return {};
  }
  if (bias && !expect_vector(bias, static_cast<int>(in.width()))) return {};
  const int total = static_cast<int>(in.width()), groups = params.groups;
  if (groups < 1 || total % groups != 0 || params.groups_used < 1 || params.groups_used > groups ||
      params.chosen > total / groups * params.groups_used) {
    reject(fail(ErrorCode::bad_file, "expert_group_used_count: ", params.chosen, " experts cannot be chosen of ",
                params.groups_used, " of ", groups, " groups of ", total, " experts"));
    return {};
  }
  RouteParams scaled = params;
  if (scaled.scale == 0.0f) scaled.scale = 1.0f;
  Tensor experts = record(Op::route, in.rows, 1, params.chosen, {router}, {bias}, scaled);
  tensors.back().element = Element::i32;
  Tensor weights_of_chosen{static_cast<int>(tensors.size())};
  TensorInfo out = info(experts);
  out.element = Element::f32;
  out.storage = weights_of_chosen.id;
  tensors.push_back(out);
  nodes.back().out[1] = weights_of_chosen.id;
  return {experts, weights_of_chosen};
}

Tensor Graph::expert_linear(Tensor x, Weight w, const Routing& routing, Weight bias) {
  if (!valid({x, routing.experts})) return {};
  TensorInfo in = info(x), ids = info(routing.experts);
  const WeightInfo& weight = weights[static_cast<std::size_t>(w.id)];
  auto router_width = info({nodes[static_cast<std::size_t>(ids.producer)].in[0]}).width();
  if (weight.ne[0] != static_cast<std::uint64_t>(in.dim) || weight.ne[1] > kMaxWidth || weight.ne[2] != router_width ||
      weight.ne[3] != 1 || in.rows != ids.rows || (in.heads != 1 && in.heads != ids.dim)) {
    reject(fail(ErrorCode::bad_file, weight.name, ": shape ", shape(weight), " where [", in.dim, ", outputs, ", router_width,
                "] is needed to multiply ", describe(x)));
    return {};
  }
  const int outputs = static_cast<int>(weight.ne[1]), experts = static_cast<int>(router_width);
  if ((bias && !expect_matrix(bias, outputs, experts)) || !expect_scale(w)) return {};
  Tensor y = record(Op::expert_linear, in.rows, ids.dim, outputs, {x, routing.experts}, {w, bias, scale_of(w)});
  return with_low_rank(y, w, [&](Weight a, Weight b) { return expert_linear(expert_linear(x, a, routing), b, routing); });
}

Tensor Graph::combine(Tensor y, const Routing& routing) { return combine(y, routing.weights); }

Tensor Graph::combine(Tensor y, Tensor weights_of_y) {
  if (!valid({y, weights_of_y})) return {};
  TensorInfo in = info(y), weight = info(weights_of_y);
  if (in.heads != weight.dim || in.rows != weight.rows) {
    reject(fail(ErrorCode::bad_file, describe(y), ": ", in.heads, " heads where there are weights for ", weight.dim));
    return {};
  }
  return record(Op::combine, in.rows, weight.heads, in.dim, {y, weights_of_y});
}

Tensor Graph::combine(Tensor y) {
  if (!valid({y})) return {};
  return record(Op::combine, info(y).rows, 1, info(y).dim, {y});
}

}  // namespace strata::graph
