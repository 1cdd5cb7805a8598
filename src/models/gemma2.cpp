// Owns: the `gemma2` forward pass. Knows graphs, weights' names and keys; no backend.
// Gemma 2 (arXiv:2408.00118): norms before and after each half of a block, GeGLU, every other layer sees a window, scores
// and logits are capped. (The "1 + w" of its norms is folded into the file's weights.)
#include <cmath>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_gemma2(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  HeadConfig heads = read_heads(keys, c.layers);
  // 27B alone scales by the width of a head as if the heads filled the embedding.
  if (c.layers == 46) heads.scale = 1.0f / std::sqrt(static_cast<float>(c.embedding_length / heads.heads[0]));
  const std::vector<int> windows = read_windows(keys, c.layers, /*period=*/2, /*window=*/4096);
  const float score_cap = keys.number("attn_logit_softcapping", 50.0f);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.scale(g.embed(w("token_embd")), std::sqrt(static_cast<float>(c.embedding_length)));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);
    const graph::AttentionParams see{.scale = heads.scale, .window = windows[static_cast<std::size_t>(layer)], .softcap = score_cap};

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    h = attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, see);
    x = g.add(x, g.rms_norm(h, b("post_attention_norm"), c.eps));

    h = geglu_mlp(g, b, g.rms_norm(x, b("ffn_norm"), c.eps));
    x = g.add(x, g.rms_norm(h, b("post_ffw_norm"), c.eps));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
  g.logits = g.softcap(g.logits, keys.number("final_logit_softcapping", 30.0f));
}

}  // namespace strata::models
