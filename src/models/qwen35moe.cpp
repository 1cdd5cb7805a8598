// Owns: the `qwen35moe` forward pass. Knows graphs, weights' names and keys; no backend.
// Qwen3.5 and Qwen3.6 mixture of experts (35B-A3B and kin), text part: most layers mix tokens with Gated DeltaNet, every
// fourth with gated attention; each layer's feed-forward is a few chosen experts plus one shared expert that all use.
#include "models/architecture.h"
#include "models/feed_forward.h"
#include "models/qwen35_layers.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_qwen35moe(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const Qwen35Config config = read_qwen35(g, keys, c);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/true);

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    if (config.recurrent[static_cast<std::size_t>(layer)])
      h = gated_delta_net(g, config, b, delta_inputs(g, b, h), graph::KeyHeads::tiled, c.eps);
    else
      h = gated_attention(g, config, b, h, layer, c.eps);
    x = g.add(x, h);

    h = g.rms_norm(x, b("post_attention_norm"), c.eps);
    x = g.add(x, experts_and_gated_shared(g, b, h, route));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
