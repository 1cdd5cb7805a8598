// Owns: dense and mixture-of-experts SwiGLU. Knows weights' names within a block; no architecture.
#include "models/feed_forward.h"

namespace strata::models {

graph::Tensor swiglu_mlp(graph::Graph& g, const Weights& w, graph::Tensor x) {
  graph::Tensor gate = g.linear(x, w("ffn_gate"), w.bias("ffn_gate"));
  graph::Tensor up = g.linear(x, w("ffn_up"), w.bias("ffn_up"));
  return g.linear(g.swiglu(gate, up), w("ffn_down"), w.bias("ffn_down"));
}

graph::RouteParams read_route(const Keys& keys, graph::Gating gating, bool normalise) {
  graph::RouteParams params{};
  params.chosen = keys.integer("expert_used_count", 1, 1 << 12);
  params.gating = gating;
  params.normalise = keys.flag("expert_weights_norm", normalise);
  float scale = keys.number("expert_weights_scale", 0.0f);
  params.scale = scale != 0 ? scale : 1.0f;
  return params;
}

graph::Tensor swiglu_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  graph::Graph::Routing routing = g.route(g.linear(x, w("ffn_gate_inp")), params);
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

graph::Tensor experts_and_gated_shared(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params) {
  graph::Tensor chosen = swiglu_experts(g, w, x, params);
  graph::Tensor shared = g.swiglu(g.linear(x, w("ffn_gate_shexp")), g.linear(x, w("ffn_up_shexp")));
  shared = g.linear(shared, w("ffn_down_shexp"));
  return g.add(chosen, g.sigmoid_gate(shared, g.linear(x, w("ffn_gate_inp_shexp"))));
}

}  // namespace strata::models
