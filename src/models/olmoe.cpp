// Owns: the `olmoe` forward pass. Knows graphs, weights' names and keys; no backend.
// OLMoE (arXiv:2409.02060): RMS norms over all queries and all keys of a token before NeoX RoPE; in each layer a few
// chosen SwiGLU experts, weighed by their softmax as it is.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_olmoe(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/false);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);
    const int n_heads = heads.heads[static_cast<std::size_t>(layer)], n_kv = heads.kv_heads[static_cast<std::size_t>(layer)];

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    q = g.rms_norm(g.heads(q, 1, n_heads * heads.k_dim), b("attn_q_norm"), c.eps);  // over all heads at once
    k = g.rms_norm(g.heads(k, 1, n_kv * heads.k_dim), b("attn_k_norm"), c.eps);
    q = g.rope(g.heads(q, n_heads, heads.k_dim), rope);
    k = g.rope(g.heads(k, n_kv, heads.k_dim), rope);
    x = g.add(x, attend(g, b, {q, k, v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, swiglu_experts(g, b, h, route));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
