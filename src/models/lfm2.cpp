// Owns: the `lfm2` forward pass. Knows graphs, weights' names and keys; no backend.
// LFM2 (Liquid AI, arXiv:2511.23404): most layers mix tokens with a short convolution between two gates that their input
// carries, the others with GQA under norms of each query and key head; SwiGLU. The norm before the head is named as if it
// belonged to the embedding.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// out(c * conv(b * x)), with b, c and x projected from h; the convolution looks back over a few tokens.
Tensor gated_conv(Graph& g, const Weights& w, Tensor h) {
  const int width = static_cast<int>(g.info(h).width());
  Tensor bcx = g.linear(h, w("shortconv.in_proj"));
  Tensor b = g.slice(bcx, 0, width), c = g.slice(bcx, width, width), x = g.slice(bcx, 2 * width, width);
  return g.linear(g.mul(c, g.short_conv(g.mul(b, x), w("shortconv.conv"), /*silu=*/false)), w("shortconv.out_proj"));
}

Tensor normed_attention(Graph& g, const Weights& w, Tensor h, const HeadConfig& heads, int layer, int rope, float eps) {
  auto [q, k, v] = project_qkv(g, w, h, heads, layer);
  q = g.rope(g.rms_norm(q, w("attn_q_norm"), eps), rope);
  k = g.rope(g.rms_norm(k, w("attn_k_norm"), eps), rope);
  return attend(g, w, {q, k, v}, {heads.scale});
}

}  // namespace

void build_lfm2(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    const bool attention = heads.kv_heads[static_cast<std::size_t>(layer)] > 0;
    x = g.add(x, attention ? normed_attention(g, b, h, heads, layer, rope, c.eps) : gated_conv(g, b, h));

    x = g.add(x, swiglu_mlp(g, b, g.rms_norm(x, b("ffn_norm"), c.eps)));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps, "token_embd_norm");
}

}  // namespace strata::models
