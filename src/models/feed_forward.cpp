// Owns: dense and mixture-of-experts gated linear units. Knows weights' names within a block; no architecture.
#include "models/feed_forward.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace strata::models {

namespace {

/// What the rows of two joined matrices give: the first half of each head, and the second.
std::pair<graph::Tensor, graph::Tensor> halves(graph::Graph& g, graph::Tensor both) {
  if (both.id < 0) return {both, both};
  const int width = g.info(both).dim / 2;
  return {g.slice(both, 0, width), g.slice(both, width, width)};
}

graph::Tensor expert_linear(graph::Graph& g, const Weights& w, graph::Tensor x, const char* name,
                            const graph::Graph::Routing& routing) {
  return g.expert_linear(x, w(name), routing, w.bias(name));
}

}  // namespace

graph::Tensor gated_mlp(graph::Graph& g, const Weights& w, graph::Tensor x, Activation f) {
  graph::Tensor up = g.linear(x, w("ffn_up"), w.bias("ffn_up")), gate;
  if (w.has("ffn_gate.weight"))
    gate = g.linear(x, w("ffn_gate"), w.bias("ffn_gate"));
  else
    std::tie(gate, up) = halves(g, up);
  return g.linear((g.*f)(gate, up), w("ffn_down"), w.bias("ffn_down"));
}

graph::RouteParams read_route(const Keys& keys, graph::Gating gating, bool normalise) {
  graph::RouteParams params{};
  params.chosen = keys.integer("expert_used_count", 1, 1 << 12);
  switch (keys.integer("expert_gating_func", 0, 1 << 8, 0)) {
    case 0: params.gating = gating; break;
    case 1: params.gating = graph::Gating::softmax; break;
    case 2: params.gating = graph::Gating::sigmoid; break;
    case 3:
      params.gating = graph::Gating::softmax;
      normalise = true;
      break;
    default: keys.reject(fail(ErrorCode::unsupported, keys.full("expert_gating_func"), ": known are 1 (softmax), 2 (sigmoid), 3 (softmax of the chosen)"));
  }
  params.groups = std::max(keys.integer("expert_group_count", 0, 1 << 12, 0), 1);
  if (params.groups > 1) params.groups_used = keys.integer("expert_group_used_count", 1, params.groups);
  params.normalise = keys.flag("expert_weights_norm", normalise);
  float scale = keys.number("expert_weights_scale", 0.0f);
  params.scale = scale != 0 ? scale : 1.0f;
  return params;
}

graph::Graph::Routing choose_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  return g.route(g.linear(x, w("ffn_gate_inp"), w.bias("ffn_gate_inp")), params, w.bias("exp_probs_b"));
}

graph::Tensor gated_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::Graph::Routing& routing, Activation f) {
  graph::Tensor gate, up;  // [., chosen, expert width]
  if (w.has("ffn_gate_up_exps.weight")) {
    std::tie(gate, up) = halves(g, expert_linear(g, w, x, "ffn_gate_up_exps", routing));
  } else {
    gate = expert_linear(g, w, x, "ffn_gate_exps", routing);
    up = expert_linear(g, w, x, "ffn_up_exps", routing);
  }
  return g.combine(expert_linear(g, w, (g.*f)(gate, up), "ffn_down_exps", routing), routing);
}

graph::Tensor swiglu_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  return gated_experts(g, w, x, choose_experts(g, w, x, params), &graph::Graph::swiglu);
}

graph::Tensor shared_expert(graph::Graph& g, const Weights& w, graph::Tensor x) {
  return g.linear(g.swiglu(g.linear(x, w("ffn_gate_shexp")), g.linear(x, w("ffn_up_shexp"))), w("ffn_down_shexp"));
}

graph::Tensor experts_and_gated_shared(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  graph::Tensor chosen = swiglu_experts(g, w, x, params);
  graph::Tensor shared = shared_expert(g, w, x);
  return g.add(chosen, g.sigmoid_gate(shared, g.linear(x, w("ffn_gate_inp_shexp"))));
}

}  // namespace strata::models
