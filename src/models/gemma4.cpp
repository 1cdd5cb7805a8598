// Owns: the `gemma4` forward pass. Knows graphs, weights' names and keys; no backend.
// Gemma 4 (31B, 12B, 26B-A4B, E2B, E4B): layers that see a window have heads of half the width; values are normed and may
// be the raw keys; the last layers of the small models read the cache of earlier ones and, like all of their layers, mix in
// an embedding of the token made for that layer. Norm weights are used as they stand, and scores are not scaled.
#include <cmath>

#include "base/text.h"
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/gemma4_layers.h"
#include "models/per_layer_input.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// The last layer with keys and values of its own that has a window, or has none, as `layer` does.
int donor(const Keys& keys, const Gemma4Config& m, int layer) {
  for (int i = m.owners - 1; i >= 0; --i)
    if ((m.windows[static_cast<std::size_t>(i)] > 0) == (m.windows[static_cast<std::size_t>(layer)] > 0)) return i;
  keys.reject(fail(ErrorCode::bad_file, keys.full("attention.shared_kv_layers"), ": layer ", layer,
                   " has no earlier layer of its kind to share with"));
  return 0;
}

/// [tokens, 1, embedding]
Tensor attention(Graph& g, const Keys& keys, const Weights& w, Tensor h, const Gemma4Config& m, int layer, float eps) {
  const std::size_t i = static_cast<std::size_t>(layer);
  const int dim = m.head_dim(layer), kv_heads = m.heads.kv_heads[i], rope = m.rope(layer);
  const graph::AttentionParams see{.scale = 1.0f, .window = m.windows[i]};
  Tensor q = gemma4_queries(g, w, h, m, layer, eps), o;
  if (layer < m.owners) {
    Tensor k = g.heads(g.linear(h, w("attn_k")), kv_heads, dim);
    Tensor v = w.has("attn_v.weight") ? g.heads(g.linear(h, w("attn_v")), kv_heads, dim) : k;
    k = g.rope(g.rms_norm(k, w("attn_k_norm"), eps), rope);
    v = g.rms_norm(v, {}, eps);
    o = g.attention(q, k, v, see);
  } else {
    keep_keys_and_values(w);
    o = g.attention_over(donor(keys, m, layer), q, see);  // caches are numbered as the layers that own them
  }
  return g.linear(o, w("attn_output"));
}

/// The dense half and the experts, each between norms of its own. The router sees the layer's input, its norm's weights
/// stored as a scale.
Tensor dense_and_experts(Graph& g, const Weights& w, Tensor y, const graph::RouteParams& route, const Common& c) {
  Tensor dense = geglu_mlp(g, w, g.rms_norm(y, w("ffn_norm"), c.eps));
  Tensor r = g.rms_norm(y, w.require("ffn_gate_inp.scale"), c.eps);
  r = g.scale(r, 1.0f / std::sqrt(static_cast<float>(c.embedding_length)));
  Tensor experts = gated_experts(g, w, g.rms_norm(y, w("pre_ffw_norm_2"), c.eps), choose_experts(g, w, r, route), &Graph::geglu);
  return g.add(g.rms_norm(dense, w("post_ffw_norm_1"), c.eps), g.rms_norm(experts, w("post_ffw_norm_2"), c.eps));
}

}  // namespace

void build_gemma4(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const Gemma4Config m = read_gemma4(g, keys, w, c.layers);
  const bool experts = keys.integer("expert_count", 0, 1 << 12, 0) > 0;
  const graph::RouteParams route = experts ? read_route(keys, graph::Gating::softmax, /*normalise=*/true) : graph::RouteParams{};
  const int told = keys.integer("embedding_length_per_layer_input", 0, 1 << 14, 0);

  Tensor x = g.scale(g.embed(w("token_embd")), std::sqrt(static_cast<float>(c.embedding_length)));  // [tokens, 1, embedding]
  const Tensor inputs = told ? per_layer_inputs(g, w, x, told, c) : Tensor{};
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    Tensor h = attention(g, keys, b, g.rms_norm(x, b("attn_norm"), c.eps), m, layer, c.eps);
    x = g.add(x, g.rms_norm(h, b("post_attention_norm"), c.eps));

    h = experts ? dense_and_experts(g, b, x, route, c) : geglu_mlp(g, b, g.rms_norm(x, b("ffn_norm"), c.eps));
    x = g.add(x, g.rms_norm(h, b("post_ffw_norm"), c.eps));

    if (told) x = g.add(x, per_layer_term(g, b, x, inputs, layer, told, c.eps));
    x = gemma4_scaled(g, b, x);
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
  if (const float cap = keys.number("final_logit_softcapping", 0.0f); cap != 0) g.logits = g.softcap(g.logits, cap);
}

}  // namespace strata::models
