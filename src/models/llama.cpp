// Owns: the `llama` forward pass. Knows graphs, weights' names and keys; no backend.
// Llama 2/3.x (arXiv:2307.09288, arXiv:2407.21783), Mistral, Mixtral (arXiv:2401.04088), DeepSeek-R1-Distill-Llama:
// pre-norm GQA with interleaved RoPE (query and key rows are permuted by the converter), SwiGLU, dense or experts.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_llama(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const bool experts = keys.integer("expert_count", 0, 1 << 12, 0) > 0;
  const graph::RouteParams route = experts ? read_route(keys, graph::Gating::softmax, /*normalise=*/true) : graph::RouteParams{};
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, w.values("rope_freqs.weight"), /*adjacent=*/true));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);
    const int n_heads = heads.heads[static_cast<std::size_t>(layer)], n_kv = heads.kv_heads[static_cast<std::size_t>(layer)];

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    Tensor q = g.rope(g.heads(g.linear(h, b("attn_q"), b.bias("attn_q")), n_heads, heads.k_dim), rope);
    Tensor k = g.rope(g.heads(g.linear(h, b("attn_k"), b.bias("attn_k")), n_kv, heads.k_dim), rope);
    Tensor v = g.heads(g.linear(h, b("attn_v"), b.bias("attn_v")), n_kv, heads.v_dim);
    x = g.add(x, g.linear(g.attention(q, k, v, heads.scale), b("attn_output"), b.bias("attn_output")));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, experts ? swiglu_experts(g, b, h, route) : swiglu_mlp(g, b, h));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
