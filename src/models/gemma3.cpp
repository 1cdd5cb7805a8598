// Owns: the `gemma3` forward pass. Knows graphs, weights' names and keys; no backend.
// Gemma 3 (arXiv:2503.19786): Gemma 2 with RMS norms of query and key heads in place of capped scores; five layers that see
// a window, with a RoPE base of their own, for each one that sees everything.
#include <cmath>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_gemma3(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  HeadConfig heads = read_heads(keys, c.layers);
  // 27B alone scales by the width of a head as if the heads filled the embedding.
  if (c.layers == 62) heads.scale = 1.0f / std::sqrt(static_cast<float>(c.embedding_length / heads.heads[0]));
  const std::vector<int> windows = read_windows(keys, c.layers, /*period=*/6);
  const int far = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));
  const int near = g.rope_table(window_rope_table(keys, heads.rope_dims, 10000.0f, /*adjacent=*/false));

  Tensor x = g.scale(g.embed(w("token_embd")), std::sqrt(static_cast<float>(c.embedding_length)));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);
    const int window = windows[static_cast<std::size_t>(layer)], rope = window ? near : far;

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    q = g.rope(g.rms_norm(q, b("attn_q_norm"), c.eps), rope);
    k = g.rope(g.rms_norm(k, b("attn_k_norm"), c.eps), rope);
    h = attend(g, b, {q, k, v}, {.scale = heads.scale, .window = window});
    x = g.add(x, g.rms_norm(h, b("post_attention_norm"), c.eps));

    h = geglu_mlp(g, b, g.rms_norm(x, b("ffn_norm"), c.eps));
    x = g.add(x, g.rms_norm(h, b("post_ffw_norm"), c.eps));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
  if (const float cap = keys.number("final_logit_softcapping", 0.0f); cap != 0) g.logits = g.softcap(g.logits, cap);
}

}  // namespace strata::models
