// Owns: the `qwen3moe` forward pass. Knows graphs, weights' names and keys; no backend.
// Qwen3 mixture of experts (arXiv:2505.09388; 30B-A3B, Qwen3-Coder-30B): the attention of Qwen3, and in each layer a few
// chosen SwiGLU experts whose weights are normalised to a sum of one.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_qwen3moe(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/true);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    q = g.rope(g.rms_norm(q, b("attn_q_norm"), c.eps), rope);
    k = g.rope(g.rms_norm(k, b("attn_k_norm"), c.eps), rope);
    x = g.add(x, attend(g, b, {q, k, v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, swiglu_experts(g, b, h, route));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
