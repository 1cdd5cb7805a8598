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
  const int rope = g.rope_table(rope_table(keys, w, heads.rope_dims, /*adjacent=*/true));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, attend(g, b, {g.rope(q, rope), g.rope(k, rope), v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, experts ? swiglu_experts(g, b, h, route) : swiglu_mlp(g, b, h));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
