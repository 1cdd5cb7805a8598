// Owns: the `qwen3next` forward pass. Knows graphs, weights' names and keys; no backend.
// Qwen3-Next-80B-A3B and Qwen3-Coder-Next: Qwen3.5's mixture before its converter reordered value heads. Most layers mix
// tokens with Gated DeltaNet, every fourth with gated attention; each layer's feed-forward is a few chosen experts plus
// one shared expert.
#include "models/architecture.h"
#include "models/feed_forward.h"
#include "models/qwen35_layers.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// beta and alpha come from one weight whose rows go by key head: [betas of its value heads | alphas of its value heads].
DeltaInputs grouped_inputs(Graph& g, const Qwen35Config& c, const Weights& w, Tensor h) {
  const int each = c.value_heads / c.key_heads;
  Tensor ba = g.heads(g.linear(h, w("ssm_ba")), c.key_heads, 2 * each);
  return {g.linear(h, w("attn_qkv")), g.linear(h, w("attn_gate")), g.heads(g.slice(ba, 0, each), 1, c.value_heads),
          g.heads(g.slice(ba, each, each), 1, c.value_heads)};
}

}  // namespace

void build_qwen3next(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const Qwen35Config config = read_qwen35(g, keys, c);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/true);

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    if (config.recurrent[static_cast<std::size_t>(layer)])
      h = gated_delta_net(g, config, b, grouped_inputs(g, config, b, h), graph::KeyHeads::grouped, c.eps);
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
