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
/// So do the others in early files: [query | key | values | gates of its value heads].
DeltaInputs grouped_inputs(Graph& g, const Qwen35Config& c, const Weights& w, Tensor h) {
  const int each = c.value_heads / c.key_heads, dim = c.state_dim;
  // Elements [begin, begin + count) of every key head's share of x, one head after the other.
  auto share = [&](Tensor x, int begin, int count) { return g.heads(g.slice(x, begin, count), 1, c.key_heads * count); };
  Tensor ba = g.heads(g.linear(h, w("ssm_ba")), c.key_heads, 2 * each);
  Tensor beta = share(ba, 0, each), alpha = share(ba, each, each);
  if (!w.has("ssm_in.weight")) return {g.linear(h, w("attn_qkv")), g.linear(h, w("attn_gate")), beta, alpha};
  Tensor in = g.heads(g.linear(h, w("ssm_in")), c.key_heads, 2 * dim + 2 * each * dim);
  Tensor qk = g.concat(share(in, 0, dim), share(in, dim, dim));
  return {g.concat(qk, share(in, 2 * dim, each * dim)), share(in, 2 * dim + each * dim, each * dim), beta, alpha};
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
