// Owns: the `mistral3` forward pass. Knows graphs, weights' names and keys; no backend.
// Mistral Small 3.1 and 3.2, Ministral 3, Devstral 2: the layers of Llama with YaRN, and queries that grow with the
// logarithm of their position (the attention temperature of Llama 4), one step for each original context length.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

void build_mistral3(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const bool experts = keys.integer("expert_count", 0, 1 << 12, 0) > 0;
  const graph::RouteParams route = experts ? read_route(keys, graph::Gating::softmax, /*normalise=*/true) : graph::RouteParams{};
  graph::RopeTable table = rope_table(keys, heads.rope_dims, {}, /*adjacent=*/true);
  const int k_rope = g.rope_table(table);
  table.growth = keys.number("attention.temperature_scale", 0.0f);
  table.period = keys.integer("rope.scaling.original_context_length", 1, 1 << 30, c.context_length);
  const int q_rope = g.rope_table(table);

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = g.rms_norm(x, b("attn_norm"), c.eps);
    auto [q, k, v] = project_qkv(g, b, h, heads, layer);
    x = g.add(x, attend(g, b, {g.rope(q, q_rope), g.rope(k, k_rope), v}, {heads.scale}));

    h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, experts ? swiglu_experts(g, b, h, route) : swiglu_mlp(g, b, h));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
