// Owns: the `llama4` forward pass. Knows graphs, weights' names and keys; no backend.
// Llama 4 Scout and Maverick (Meta AI, "The Llama 4 herd", 2025): three layers in four rotate queries and keys, norm them
// afterwards (Scout) and attend within chunks of positions; the fourth has no positions, attends to everything, and
// lets queries grow with the logarithm of their position (arXiv:2501.19399). In every so many layers one expert works
// beside a shared one, on an input that the sigmoid of its logit has scaled.
#include "models/architecture.h"
#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/rope.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

constexpr int kChunk = 8192;        // positions; files say nothing of it but that there is none
constexpr int kOpenLayers = 4;      // the last of so many layers attends to everything
constexpr int kMaverickExperts = 128;

/// sum over the chosen of down_e(silu(gate_e w_e x) * up_e w_e x): what scales the input scales both products alike.
Tensor scaled_experts(Graph& g, const Weights& w, Tensor x, const graph::RouteParams& params) {
  const auto routing = choose_experts(g, w, x, params);
  Tensor gate = g.mul(g.expert_linear(x, w("ffn_gate_exps"), routing), routing.weights);
  Tensor up = g.mul(g.expert_linear(x, w("ffn_up_exps"), routing), routing.weights);
  return g.combine(g.expert_linear(g.swiglu(gate, up), w("ffn_down_exps"), routing));
}

}  // namespace

void build_llama4(Graph& g, const Keys& keys, const Weights& w, const Common& c) {
  const HeadConfig heads = read_heads(keys, c.layers);
  const int experts = keys.integer("expert_count", 0, 1 << 12, 0);
  const graph::RouteParams route = experts > 0 ? read_route(keys, graph::Gating::sigmoid, /*normalise=*/false) : graph::RouteParams{};
  const int step = keys.integer("interleave_moe_layer_step", 0, 1 << 12, experts > 0 ? 1 : 0);
  const int chunk = keys.integer("attention.sliding_window", 0, 1 << 30, kChunk);  // 0: all layers rotate and see everything
  const int rope = g.rope_table(rope_table(keys, w, heads.rope_dims, /*adjacent=*/true));
  graph::RopeTable table;  // rotates nothing
  table.growth = 0.1;
  table.period = kChunk;
  table.offset = 1;
  const int temperature = g.rope_table(table);

  Tensor x = g.embed(w("token_embd"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);

    auto [q, k, v] = project_qkv(g, b, g.rms_norm(x, b("attn_norm"), c.eps), heads, layer);
    const bool open = chunk > 0 && (layer + 1) % kOpenLayers == 0;
    if (open) {
      q = g.rope(q, temperature);
    } else {
      q = g.rope(q, rope);
      k = g.rope(k, rope);
      if (experts != kMaverickExperts) {
        q = g.rms_norm(q, {}, c.eps);
        k = g.rms_norm(k, {}, c.eps);
      }
    }
    x = g.add(x, attend(g, b, {q, k, v}, {.scale = heads.scale, .window = open ? 0 : chunk, .chunked = true}));

    Tensor h = g.rms_norm(x, b("ffn_norm"), c.eps);
    const bool mixture = step > 0 && (layer + 1) % step == 0;
    x = g.add(x, mixture ? g.add(scaled_experts(g, b, h, route), shared_expert(g, b, h)) : swiglu_mlp(g, b, h));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
}

}  // namespace strata::models
