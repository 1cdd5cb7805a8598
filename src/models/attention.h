// Owns: what the attention layers of several architectures share: head counts, the dims of a head, the projections.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"
#include "models/keys.h"
#include "models/weights.h"

namespace strata::models {

/// Grouped-query attention (arXiv:2305.13245): query head h reads key/value head h / (heads / kv_heads).
struct HeadConfig {
  std::vector<int> heads;     ///< query heads by layer
  std::vector<int> kv_heads;  ///< key/value heads by layer
  int k_dim = 1;              ///< elements of a query and key head
  int v_dim = 1;              ///< elements of a value head
  int rope_dims = 2;          ///< leading elements of a head that are rotated
  float scale = 1.0f;         ///< of q k^T
};
HeadConfig read_heads(const Keys& keys, int layers);

/// The window of each layer, 0 where a layer sees all positions: `attention.sliding_window` positions on the layers that
/// `attention.sliding_window_pattern` marks, by a flag each, or by a period p whose last layer in turn sees all.
std::vector<int> read_windows(const Keys& keys, int layers, int period, std::optional<int> window = 0);

struct Qkv {
  graph::Tensor q;  ///< [tokens, heads, k_dim]
  graph::Tensor k;  ///< [tokens, kv_heads, k_dim]
  graph::Tensor v;  ///< [tokens, kv_heads, v_dim]
};
/// Queries, keys and values of a layer: the rows of `attn_qkv` in this order, or attn_q, attn_k and attn_v. Biases are
/// used where the file has them.
Qkv project_qkv(graph::Graph& g, const Weights& w, graph::Tensor h, const HeadConfig& c, int layer);
/// Of a layer that reads another's cache: most files hold keys' and values' weights for it all the same.
void keep_keys_and_values(const Weights& w);
/// attn_output(attention), with its bias and its sinks (`attn_sinks`) where the file has them.
graph::Tensor attend(graph::Graph& g, const Weights& w, const Qkv& a, const graph::AttentionParams& params);

}  // namespace strata::models
