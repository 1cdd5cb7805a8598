// Owns: hyperparameters and queries of Gemma 4's layers. Knows metadata keys and weights' names; no forward pass.
#include "models/gemma4_layers.h"

#include "models/rope.h"

namespace strata::models {

Gemma4Config read_gemma4(graph::Graph& g, const Keys& keys, const Weights& w, int layers) {
  constexpr int kMaxDim = 1 << 14;
  Gemma4Config m;
  m.heads = read_heads(keys, layers);
  m.near_dim = keys.integer("attention.key_length_swa", 1, kMaxDim, m.heads.k_dim);
  m.windows = read_windows(keys, layers, /*period=*/6);
  m.far_rope = g.rope_table(rope_table(keys, m.heads.rope_dims, w.values("rope_freqs.weight"), /*adjacent=*/false));
  const int near_rope_dims = keys.integer("rope.dimension_count_swa", 2, kMaxDim, m.near_dim);
  m.near_rope = g.rope_table(window_rope_table(keys, near_rope_dims, 10000.0f, /*adjacent=*/false));
  m.owners = layers - keys.integer("attention.shared_kv_layers", 0, layers, 0);
  return m;
}

graph::Tensor gemma4_queries(graph::Graph& g, const Weights& w, graph::Tensor h, const Gemma4Config& m, int layer, float eps) {
  graph::Tensor q = g.heads(g.linear(h, w("attn_q")), m.heads.heads[static_cast<std::size_t>(layer)], m.head_dim(layer));
  return g.rope(g.rms_norm(q, w("attn_q_norm"), eps), m.rope(layer));
}

graph::Tensor gemma4_scaled(graph::Graph& g, const Weights& w, graph::Tensor x) {
  const std::vector<float> factor = w.values("layer_output_scale.weight");
  return factor.empty() ? x : g.scale(x, factor[0]);
}

}  // namespace strata::models
