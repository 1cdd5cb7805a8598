// Owns: the `glm4moe` forward pass. Knows graphs, weights' names and keys; no backend.
// GLM-4.5, 4.6 and 4.7 with Air (arXiv:2508.06471): biased GQA with RoPE on half of each head, and RMS norms of query and
// key heads in the large models. The first layers are dense; then a sigmoid router chooses experts, under a bias that
// keeps their load even, beside a shared expert. The last block drafts tokens and is kept for that.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_glm4moe(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const graph::RouteParams route = read_route(keys, graph::Gating::sigmoid, /*normalise=*/true);
  const int dense = keys.integer("leading_dense_block_count", 0, 1 << 12, 0);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    if (b.has("attn_q_norm.weight")) {
      q = g.rms_norm(q, b("attn_q_norm"), c.eps);
      k = g.rms_norm(k, b("attn_k_norm"), c.eps);
    }
    x = g.add(x, attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, {heads.scale}));

    h = g.rms_norm(x, b("post_attention_norm"), c.eps);
    x = g.add(x, layer < dense ? swiglu_mlp(g, b, h) : g.add(swiglu_experts(g, b, h, route), shared_expert(g, b, h)));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
