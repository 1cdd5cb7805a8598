// Owns: the `phi3` forward pass. Knows graphs, weights' names and keys; no backend.
// Phi-3 (arXiv:2404.14219), Phi-3.5, Phi-4: the layers of Llama with NeoX RoPE, joined projections, and LongRoPE
// (arXiv:2402.13753). The window that some files name is not used: their long contexts were made with full attention.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_phi3(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const int rope = g.rope_table(rope_table(keys, w, heads.rope_dims, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, swiglu_mlp(g, b, h));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
