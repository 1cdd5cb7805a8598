// Owns: gated attention and Gated DeltaNet as Qwen3-Next, Qwen3.5 and Qwen3.6 use them. Knows weights' names and keys; no backend.
#include "models/qwen35_layers.h"

#include <cmath>

#include "base/text.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

Qwen35Config read_qwen35(Graph& g, const Keys& keys, const Common& c) {
  constexpr int kMaxHeads = 1 << 14, kMaxDim = 1 << 14;
  Qwen35Config q;
  q.heads = read_heads(keys, c.layers);
  // Of the four position streams of interleaved M-RoPE text uses one, which makes it plain NeoX RoPE.
  q.rope = g.rope_table(rope_table(keys, q.heads.rope_dims, {}, /*adjacent=*/false));
  q.key_heads = keys.integer("ssm.group_count", 1, kMaxHeads);
  q.value_heads = keys.integer("ssm.time_step_rank", 1, kMaxHeads);
  q.state_dim = keys.integer("ssm.state_size", 1, kMaxDim);
  int interval = keys.integer("full_attention_interval", 1, 1 << 12, 4);
  std::vector<int> given = keys.per_layer("attention.recurrent_layers", c.layers, 0, 1, -1);
  for (int layer = 0; layer < c.layers; ++layer) {
    int flag = given[static_cast<std::size_t>(layer)];
    q.recurrent.push_back(flag < 0 ? (layer + 1) % interval != 0 : flag != 0);
  }
  return q;
}

Tensor gated_attention(Graph& g, const Qwen35Config& c, const Weights& w, Tensor h, int layer, float eps) {
  const HeadConfig& a = c.heads;
  const int n_heads = a.heads[static_cast<std::size_t>(layer)], n_kv = a.kv_heads[static_cast<std::size_t>(layer)];
  Tensor qg = g.heads(g.linear(h, w("attn_q")), n_heads, 2 * a.k_dim);  // each head: [query | gate]
  Tensor q = g.slice(qg, 0, a.k_dim);
  Tensor gate = g.slice(qg, a.k_dim, a.k_dim);
  Tensor k = g.heads(g.linear(h, w("attn_k")), n_kv, a.k_dim);
  Tensor v = g.heads(g.linear(h, w("attn_v")), n_kv, a.v_dim);
  q = g.rope(g.rms_norm(q, w("attn_q_norm"), eps), c.rope);
  k = g.rope(g.rms_norm(k, w("attn_k_norm"), eps), c.rope);
  Tensor o = g.attention(q, k, v, {a.scale});
  return g.linear(g.sigmoid_gate(o, gate), w("attn_output"));
}

DeltaInputs delta_inputs(Graph& g, const Weights& w, Tensor h) {
  return {g.linear(h, w("attn_qkv")), g.linear(h, w("attn_gate")), g.linear(h, w("ssm_beta")), g.linear(h, w("ssm_alpha"))};
}

Tensor gated_delta_net(Graph& g, const Qwen35Config& c, const Weights& w, const DeltaInputs& in, graph::KeyHeads order,
                       float eps) {
  const int keys = c.key_heads * c.state_dim, values = c.value_heads * c.state_dim;
  Tensor qkv = g.short_conv(in.qkv, w("ssm_conv1d"), /*silu=*/true);
  Tensor q = g.heads(g.slice(qkv, 0, keys), c.key_heads, c.state_dim);
  Tensor k = g.heads(g.slice(qkv, keys, keys), c.key_heads, c.state_dim);
  Tensor v = g.heads(g.slice(qkv, 2 * keys, values), c.value_heads, c.state_dim);
  q = g.scale(g.l2_norm(q, eps), 1.0f / std::sqrt(static_cast<float>(c.state_dim)));
  k = g.l2_norm(k, eps);

  Tensor log_decay = g.decay(in.alpha, w.require("ssm_dt.bias"), w.require("ssm_a"));
  Tensor o = g.delta_net(q, k, v, log_decay, g.sigmoid(in.beta), order);  // [tokens, value heads, state_dim]

  Tensor z = g.heads(in.z, c.value_heads, c.state_dim);
  return g.linear(g.swiglu(z, g.rms_norm(o, w("ssm_norm"), eps)), w("ssm_out"));
}

}  // namespace strata::models
