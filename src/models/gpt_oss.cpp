// Owns: the `gpt-oss` forward pass. Knows graphs, weights' names and keys; no backend.
// gpt-oss 20B and 120B (arXiv:2508.10925): GQA with biases, YaRN and a learned sink for each head, a window on every other
// layer, experts with biases and a clamped SwiGLU, chosen by the softmax of the best logits.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_gpt_oss(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const std::vector<int> windows = read_windows(keys, c.layers, /*period=*/2, /*window=*/{});
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/true);
  const int rope = g.rope_table(rope_table(keys, heads.rope_dims, {}, /*adjacent=*/false));

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, attend(g, b, {g.rope(q, rope), g.rope(k, rope), v},
                        {.scale = heads.scale, .window = windows[static_cast<std::size_t>(layer)]}));

    h = g.rms_norm(x, b("post_attention_norm"), c.eps);
    x = g.add(x, gated_experts(g, b, h, choose_experts(g, b, h, route), &Graph::swiglu_clamped));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
