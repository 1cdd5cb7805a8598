// Owns: reading head counts, the projections around attention. Knows metadata keys and weights' names; no architecture.
#include "models/attention.h"

#include <algorithm>
#include <cmath>

namespace strata::models {

HeadConfig read_heads(const Keys& keys, int layers) {
  constexpr int kMaxHeads = 1 << 14, kMaxDim = 1 << 14, kMaxWidth = 1 << 24;
  HeadConfig c;
  c.heads = keys.per_layer("attention.head_count", layers, 1, kMaxHeads);
  c.kv_heads = c.heads;
  int first = c.heads.empty() ? 1 : c.heads.front();
  // Recurrent layers of hybrid models may be listed with 0 heads; a file without the key has as many as query heads.
  if (auto given = keys.per_layer("attention.head_count_kv", layers, 0, kMaxHeads, 0);
      std::any_of(given.begin(), given.end(), [](int n) { return n != 0; }))
    c.kv_heads = given;
  int derived = keys.integer("embedding_length", 1, kMaxWidth) / first;
  c.k_dim = keys.integer("attention.key_length", 1, kMaxDim, derived);
  c.v_dim = keys.integer("attention.value_length", 1, kMaxDim, derived);
  c.rope_dims = keys.integer("rope.dimension_count", 2, kMaxDim, c.k_dim);
  float scale = keys.number("attention.scale", 0.0f);
  c.scale = scale != 0 ? scale : 1.0f / std::sqrt(static_cast<float>(c.k_dim));
  return c;
}

std::vector<int> read_windows(const Keys& keys, int layers, int period, std::optional<int> otherwise) {
  const int window = keys.integer("attention.sliding_window", 0, 1 << 30, otherwise);
  std::vector<int> windows(static_cast<std::size_t>(layers), window);
  const auto marked = keys.flags("attention.sliding_window_pattern", layers);
  if (!marked) period = keys.integer("attention.sliding_window_pattern", 0, 1 << 12, period);
  for (int layer = 0; layer < layers; ++layer) {
    const std::size_t i = static_cast<std::size_t>(layer);
    if (marked ? !(*marked)[i] : period > 0 && layer % period == period - 1) windows[i] = 0;
  }
  return windows;
}

Qkv project_qkv(graph::Graph& g, const Weights& w, graph::Tensor h, const HeadConfig& c, int layer) {
  const int n_heads = c.heads[static_cast<std::size_t>(layer)], n_kv = c.kv_heads[static_cast<std::size_t>(layer)];
  graph::Tensor q, k, v;
  if (w.has("attn_qkv.weight")) {
    const int q_width = n_heads * c.k_dim, k_width = n_kv * c.k_dim, v_width = n_kv * c.v_dim;
    const graph::Tensor qkv = g.linear(h, w("attn_qkv"), w.bias("attn_qkv"));
    q = g.slice(qkv, 0, q_width);
    k = g.slice(qkv, q_width, k_width);
    v = g.slice(qkv, q_width + k_width, v_width);
  } else {
    q = g.linear(h, w("attn_q"), w.bias("attn_q"));
    k = g.linear(h, w("attn_k"), w.bias("attn_k"));
    v = g.linear(h, w("attn_v"), w.bias("attn_v"));
  }
  return {g.heads(q, n_heads, c.k_dim), g.heads(k, n_kv, c.k_dim), g.heads(v, n_kv, c.v_dim)};
}

void keep_keys_and_values(const Weights& w) {
  for (const char* name : {"attn_k.weight", "attn_v.weight", "attn_k_norm.weight"}) w.keep(name);
}

graph::Tensor attend(graph::Graph& g, const Weights& w, const Qkv& a, const graph::AttentionParams& params) {
  return g.linear(g.attention(a.q, a.k, a.v, params, w.optional("attn_sinks")), w("attn_output"), w.bias("attn_output"));
}

}  // namespace strata::models
