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
  graph::Tensor gate = g.expert_linear(x, w("ffn_gate_exps"), routing);  // [., chosen, expert width]
  graph::Tensor up = g.expert_linear(x, w("ffn_up_exps"), routing);
  return g.combine(g.expert_linear(g.swiglu(gate, up), w("ffn_down_exps"), routing), routing);
}

}  // namespace strata::models
