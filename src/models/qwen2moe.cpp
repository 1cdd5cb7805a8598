// Owns: the `qwen2moe` forward pass. Knows graphs, weights' names and keys; no backend.
// Qwen1.5-MoE and Qwen2-57B-A14B (arXiv:2407.10671): the attention of Qwen2; each layer's feed-forward is a few chosen
// experts, weighed by their softmax as it is, plus one gated shared expert.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_qwen2moe(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/false);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, experts_and_gated_shared(g, b, h, route));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
