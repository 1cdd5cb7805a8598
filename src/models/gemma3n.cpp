// Owns: the `gemma3n` forward pass. Knows graphs, weights' names and keys; no backend.
// Gemma 3n (E2B, E4B): four residual streams of which one is computed and the others are predicted and corrected (AltUp,
// arXiv:2301.13310), a low-rank residual beside attention (Laurel, arXiv:2411.07501), sparse activations in the first
// layers, per-layer inputs, and last layers that read the cache of earlier ones.
#include <cmath>

#include "base/text.h"
#include "models/architecture.h"
#include "models/attention.h"
#include "models/per_layer_input.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

constexpr int kStreams = 4;

struct Gemma3nConfig {
  HeadConfig heads;
  std::vector<int> windows;
  std::vector<float> sparsity;  ///< by layer: deviations below which the gate is cut off; 0: it is not
  int near_rope, far_rope;      ///< tables
  int owners;                   ///< layers with keys and values of their own; those behind them share
  int told;                     ///< width of a layer's own input
  int embedding;
  float eps;
};

Gemma3nConfig read_gemma3n(Graph& g, const Keys& keys, const Common& c) {
  Gemma3nConfig m;
  m.heads = read_heads(keys, c.layers);
  m.windows = read_windows(keys, c.layers, /*period=*/5);
  m.far_rope = g.rope_table(rope_table(keys, m.heads.rope_dims, {}, /*adjacent=*/false));
  m.near_rope = g.rope_table(window_rope_table(keys, m.heads.rope_dims, 10000.0f, /*adjacent=*/false));
  m.owners = c.layers - keys.integer("attention.shared_kv_layers", 0, c.layers - 2, std::max(0, c.layers - 20));
  m.told = keys.integer("embedding_length_per_layer_input", 1, 1 << 14, 256);
  m.embedding = c.embedding_length;
  m.eps = c.eps;
  if (keys.integer("altup.num_inputs", 1, 64, kStreams) != kStreams || keys.integer("altup.active_idx", 0, 63, 0) != 0)
    keys.reject(fail(ErrorCode::unsupported, keys.full("altup.num_inputs"), ": known are ", kStreams, " streams, the first active"));
  // Where the file does not say: 95 % of a normal distribution's gates are cut off in the first ten layers.
  if (auto given = keys.numbers("activation_sparsity_scale", c.layers))
    m.sparsity = *given;
  else
    for (int layer = 0; layer < c.layers; ++layer) m.sparsity.push_back(layer < 10 ? 1.6448533535003662f : 0.0f);
  return m;
}

/// Four mixing weights for every stream of x, or the four by which it is corrected, depend on one stream through this.
Tensor modalities(Graph& g, const Weights& w, Tensor x, const Gemma3nConfig& m) {
  x = g.scale(g.rms_norm(x, w("altup_router_norm"), m.eps), 1.0f / static_cast<float>(m.embedding));
  return g.softcap(g.linear(x, w("altup_router")), 1.0f);
}

Tensor stream(Graph& g, Tensor streams, int i, int embedding) {
  return g.slice(g.heads(streams, 1, kStreams * embedding), i * embedding, embedding);
}

Tensor join(Graph& g, Tensor first, Tensor second, Tensor third, Tensor fourth, int embedding) {
  return g.heads(g.concat(g.concat(g.concat(first, second), third), fourth), kStreams, embedding);
}

/// The token's embedding, and three projections of it made as long as it is: [tokens, streams, embedding].
Tensor spread(Graph& g, const Weights& w, Tensor x, int e) {
  const Tensor two = g.heads(g.concat(x, x), 2, e), three = g.heads(g.concat(g.heads(two, 1, 2 * e), x), 3, e);
  const Tensor others = g.match_norm(g.head_linear(three, w("altup_proj")), three);
  return g.heads(g.concat(x, g.heads(others, 1, 3 * e)), kStreams, e);
}

/// The mean of the streams, the other three projected and made as long as the first.
Tensor gather_streams(Graph& g, const Weights& w, Tensor streams, int e) {
  const Tensor first = stream(g, streams, 0, e), all = g.heads(streams, 1, kStreams * e);
  const Tensor others = g.heads(g.slice(all, e, 3 * e), 3, e);
  const Tensor lengths = g.heads(g.concat(g.concat(first, first), first), 3, e);
  const Tensor back = g.heads(g.match_norm(g.head_linear(others, w("altup_unembd_proj")), lengths), 1, 3 * e);
  Tensor sum = first;
  for (int i = 0; i < kStreams - 1; ++i) sum = g.add(sum, g.slice(back, i * e, e));
  return g.scale(sum, 1.0f / kStreams);
}

Tensor attention(Graph& g, const Weights& w, Tensor h, const Gemma3nConfig& m, int layer) {
  const std::size_t i = static_cast<std::size_t>(layer);
  const int rope = m.windows[i] ? m.near_rope : m.far_rope;
  const graph::AttentionParams see{.scale = 1.0f, .window = m.windows[i]};
  Tensor q = g.heads(g.linear(h, w("attn_q")), m.heads.heads[i], m.heads.k_dim);
  q = g.rope(g.rms_norm(q, w("attn_q_norm"), m.eps), rope);
  // The last layer that owns its cache sees everything, the one before it a window.
  if (layer >= m.owners) {
    keep_keys_and_values(w);
    return g.linear(g.attention_over(m.owners - (m.windows[i] ? 2 : 1), q, see), w("attn_output"));
  }
  Tensor k = g.heads(g.linear(h, w("attn_k")), m.heads.kv_heads[i], m.heads.k_dim);
  Tensor v = g.heads(g.linear(h, w("attn_v")), m.heads.kv_heads[i], m.heads.v_dim);
  k = g.rope(g.rms_norm(k, w("attn_k_norm"), m.eps), rope);
  return g.linear(g.attention(q, k, g.rms_norm(v, {}, m.eps), see), w("attn_output"));
}

Tensor sparse_mlp(Graph& g, const Weights& w, Tensor h, float deviations) {
  Tensor gate = g.linear(h, w("ffn_gate"));
  if (deviations > 0) gate = g.sparsify(gate, deviations);
  return g.linear(g.geglu(gate, g.linear(h, w("ffn_up"))), w("ffn_down"));
}

/// One block on the active stream.
Tensor block(Graph& g, const Weights& w, Tensor active, const Gemma3nConfig& m, int layer) {
  const Tensor h = g.rms_norm(active, w("attn_norm"), m.eps);
  const Tensor laurel = g.add(h, g.rms_norm(g.linear(g.linear(h, w("laurel_l")), w("laurel_r")), w("laurel_post_norm"), m.eps));
  Tensor y = g.add(active, g.rms_norm(attention(g, w, h, m, layer), w("post_attention_norm"), m.eps));
  y = g.scale(g.add(y, laurel), std::sqrt(0.5f));
  const Tensor f = sparse_mlp(g, w, g.rms_norm(y, w("ffn_norm"), m.eps), m.sparsity[static_cast<std::size_t>(layer)]);
  return g.add(y, g.rms_norm(f, w("post_ffw_norm"), m.eps));
}

}  // namespace

void build_gemma3n(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const Gemma3nConfig m = read_gemma3n(g, keys, c);
  const int e = c.embedding_length;

  Tensor x = g.scale(g.embed(w("token_embd")), std::sqrt(static_cast<float>(e)));  // [tokens, 1, embedding]
  const Tensor inputs = per_layer_inputs(g, w, x, m.told, c);
  Tensor streams = spread(g, w, x, e);  // [tokens, streams, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    // Predict every stream from all of them, compute the first, correct all by what the prediction missed of it.
    Tensor mix = g.linear(modalities(g, b, stream(g, streams, 0, e), m), b("altup_predict_coef"));
    const Tensor predicted = g.add(streams, g.combine(streams, g.heads(mix, kStreams, kStreams)));
    const Tensor active = stream(g, predicted, 0, e), y = block(g, b, active, m, layer);
    const Tensor missed = g.add(y, g.scale(active, -1.0f));
    const Tensor amounts = g.heads(g.linear(modalities(g, b, y, m), b("altup_correct_coef")), kStreams, 1);
    const Tensor by_one = join(g, missed, missed, missed, missed, e);
    const Tensor corrected = g.add(predicted, g.add(g.combine(missed, amounts), by_one));

    const Tensor first = stream(g, corrected, 0, e);
    const Tensor term = per_layer_term(g, b, g.mul(first, b("altup_correct_scale")), inputs, layer, m.told, c.eps);
    auto told = [&](int i) { return g.add(stream(g, corrected, i, e), term); };
    const Tensor second = told(1), third = told(2), fourth = told(3);
    streams = join(g, first, second, third, fourth, e);
  }
  g.enter_layer(c.layers);
  output_head(g, w, gather_streams(g, w, streams, e), c.eps);
  if (const float cap = keys.number("final_logit_softcapping", 30.0f); cap != 0) g.logits = g.softcap(g.logits, cap);
}

}  // namespace strata::models
