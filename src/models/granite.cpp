// Owns: the `granite` forward pass. Knows graphs, weights' names and keys; no backend.
// Granite 3.x and 4.x dense (arXiv:2405.04324 and its successors): the layers of Llama under four constants that scale
// the embeddings, the scores of attention, what each block adds to the residual stream, and the logits.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// A constant; 1 where the file has none.
float constant(const Keys& keys, std::string_view name) {
  const float value = keys.number(name, 1.0f);
  return value != 0 ? value : 1.0f;
}

}  // namespace

void build_granite(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const float residual = constant(keys, "residual_scale");
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, w.values("rope_freqs.weight"), /*adjacent=*/true));

  Tensor x = g.scale(g.embed(w("token_embd")), constant(keys, "embedding_scale"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, g.scale(attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, {heads.scale}), residual));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, g.scale(swiglu_mlp(g, b, h), residual));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
  g.logits = g.scale(g.logits, 1.0f / constant(keys, "logit_scale"));
}

}  // namespace strata::models
