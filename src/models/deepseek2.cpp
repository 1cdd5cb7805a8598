// Owns: the `deepseek2` forward pass. Knows graphs, weights' names and keys; no backend.
// DeepSeek V2 (arXiv:2405.04434), V3 (arXiv:2412.19437) and R1, Kimi K2, GLM-4.7-Flash: multi-head latent attention, whose
// keys and values are projections of one small vector per token. The first layers are dense; then experts are chosen,
// in V3 within the best groups of them, beside shared experts.
#include "models/architecture.h"

#include <cmath>

#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// Multi-head latent attention. A query or key head has `nope` elements without position and `rope` with.
struct Latent {
  std::vector<int> heads;  ///< by layer
  int rank = 1;            ///< elements of the latent vector
  int nope = 1, rope = 2, v_dim = 1;
  float scale = 1.0f;      ///< of q k^T
  int table = 0;           ///< of the graph: rotates
  int temperature = -1;    ///< of the graph: scales queries by their position; -1: none
};

Latent read_latent(Graph& g, const Keys& keys, const Common& c) {
  constexpr int kMaxDim = 1 << 14;
  Latent a;
  const HeadConfig heads = read_heads(keys, c.layers);
  a.heads = heads.heads;
  a.rank = keys.integer("attention.kv_lora_rank", 1, kMaxDim);
  a.rope = heads.rope_dims;
  // Files with the latent vector as their key say how long a head is by keys of their own.
  const int k_dim = keys.integer("attention.key_length_mla", a.rope + 1, kMaxDim, heads.k_dim);
  a.nope = k_dim - a.rope;
  a.v_dim = keys.integer("attention.value_length_mla", 1, kMaxDim, heads.v_dim);

  graph::RopeTable table = rope_table(keys, a.rope, {}, /*adjacent=*/true);
  // YaRN's magnitude moves from the rotated dims into the scale of all: (0.1 mscale_all_dim ln(factor) + 1)^2, where the
  // file holds 0.1 mscale_all_dim.
  const float multiplier = keys.number("rope.scaling.yarn_log_multiplier", 0.0f), factor = keys.number("rope.scaling.factor", 1.0f);
  float magnitude = 1.0f;
  if (multiplier != 0 && factor > 0) {
    magnitude += multiplier * std::log(factor);
    table.magnitude = 1.0f;
  }
  a.scale = magnitude * magnitude / std::sqrt(static_cast<float>(k_dim));
  a.table = g.rope_table(table);
  if (const float growth = keys.number("attention.temperature_scale", 0.0f); growth != 0) {
    graph::RopeTable temperature;
    temperature.growth = growth;
    temperature.period = keys.integer("attention.temperature_length", 1, 1 << 30, c.context_length);
    a.temperature = g.rope_table(temperature);
  }
  return a;
}

/// [tokens, heads, nope + rope]; large models project through a small normed vector.
Tensor queries(Graph& g, const Latent& a, const Weights& w, Tensor h, int layer, float eps) {
  Tensor q = w.has("attn_q_a.weight") ? g.linear(g.rms_norm(g.linear(h, w("attn_q_a")), w("attn_q_a_norm"), eps), w("attn_q_b"))
                                      : g.linear(h, w("attn_q"));
  return g.heads(q, a.heads[static_cast<std::size_t>(layer)], a.nope + a.rope);
}

Tensor latent_attention(Graph& g, const Latent& a, const Weights& w, Tensor h, int layer, float eps) {
  const int heads = a.heads[static_cast<std::size_t>(layer)];
  Tensor q = queries(g, a, w, h, layer, eps);
  Tensor q_nope = g.slice(q, 0, a.nope), q_pe = g.rope(g.slice(q, a.nope, a.rope), a.table);
  Tensor kv = g.linear(h, w("attn_kv_a_mqa"));
  Tensor c = g.rms_norm(g.slice(kv, 0, a.rank), w("attn_kv_a_norm"), eps);  // what keys and values are made of
  Tensor k_pe = g.rope(g.slice(kv, a.rank, a.rope), a.table);               // the same for every head
  auto warm = [&](Tensor x) { return a.temperature < 0 ? x : g.rope(x, a.temperature); };

  if (w.has("attn_kv_b.weight")) {
    Tensor k_v = g.heads(g.linear(c, w("attn_kv_b")), heads, a.nope + a.v_dim);
    Tensor k = g.concat(g.slice(k_v, 0, a.nope), k_pe), v = g.slice(k_v, a.nope, a.v_dim);
    return g.linear(g.attention(warm(g.concat(q_nope, q_pe)), k, v, {.scale = a.scale}), w("attn_output"));
  }
  // Absorbed: q^T (K_b c) = (K_b^T q)^T c, so that every head attends to the latent vector itself, which is key and value
  // at once, and the weighted sum of latent vectors is projected to values once.
  q = warm(g.concat(g.head_linear(q_nope, w("attn_k_b")), q_pe));
  Tensor o = g.heads(g.attention_within_keys(q, g.concat(c, k_pe), a.rank, {.scale = a.scale}), heads, a.rank);
  return g.linear(g.head_linear(o, w("attn_v_b")), w("attn_output"));
}

}  // namespace

void build_deepseek2(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const Latent attention = read_latent(g, keys, c);
  const graph::RouteParams route = read_route(keys, graph::Gating::softmax, /*normalise=*/false);
  const int dense = keys.integer("leading_dense_block_count", 0, 1 << 12, 0);

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    x = g.add(x, latent_attention(g, attention, b, g.rms_norm(x, b("attn_norm"), c.eps), layer, c.eps));

    Tensor h = g.rms_norm(x, b("ffn_norm"), c.eps);
    x = g.add(x, layer < dense ? swiglu_mlp(g, b, h) : g.add(swiglu_experts(g, b, h, route), shared_expert(g, b, h)));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
