// Owns: dense and mixture-of-experts SwiGLU. Knows weights' names within a block; no architecture.
#include "models/feed_forward.h"

#include "base/text.h"

namespace strata::models {

graph::Tensor swiglu_mlp(graph::Graph& g, const Weights& w, graph::Tensor x) {
  graph::Tensor gate = g.linear(x, w("ffn_gate"), w.bias("ffn_gate"));
  graph::Tensor up = g.linear(x, w("ffn_up"), w.bias("ffn_up"));
  return g.linear(g.swiglu(gate, up), w("ffn_down"), w.bias("ffn_down"));
}

graph::RouteParams read_route(const Keys& keys, graph::Gating gating, bool normalise) {
  graph::RouteParams params{};
  params.chosen = keys.integer("expert_used_count", 1, 1 << 12);
  switch (keys.integer("expert_gating_func", 0, 1 << 8, 0)) {
    case 0: params.gating = gating; break;
    case 1: params.gating = graph::Gating::softmax; break;
    case 2: params.gating = graph::Gating::sigmoid; break;
    default: keys.reject(fail(ErrorCode::unsupported, keys.full("expert_gating_func"), ": known are 1 (softmax) and 2 (sigmoid)"));
  }
  if (keys.integer("expert_group_count", 0, 1 << 12, 0) > 1)
    keys.reject(fail(ErrorCode::unsupported, keys.full("expert_group_count"), ": routing by groups of experts is not known here"));
  params.normalise = keys.flag("expert_weights_norm", normalise);
  float scale = keys.number("expert_weights_scale", 0.0f);
  params.scale = scale != 0 ? scale : 1.0f;
  return params;
}

graph::Tensor swiglu_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  graph::Graph::Routing routing = g.route(g.linear(x, w("ffn_gate_inp")), params, w.bias("exp_probs_b"));
  graph::Tensor gate, up;  // [., chosen, expert width]
  if (w.has("ffn_gate_up_exps.weight")) {
    graph::Tensor both = g.expert_linear(x, w("ffn_gate_up_exps"), routing);
    const int width = g.info(both).dim / 2;
    gate = g.slice(both, 0, width);
    up = g.slice(both, width, width);
  } else {
    gate = g.expert_linear(x, w("ffn_gate_exps"), routing);
    up = g.expert_linear(x, w("ffn_up_exps"), routing);
  }
  return g.combine(g.expert_linear(g.swiglu(gate, up), w("ffn_down_exps"), routing), routing);
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
