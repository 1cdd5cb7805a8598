// Owns: what the layers of Gemma 4 and of its drafter share.
#pragma once

#include <vector>

#include "models/architecture.h"
#include "models/attention.h"

namespace strata::models {

/// Its layers that see a window have heads of another width than those that see everything.
struct Gemma4Config {
  HeadConfig heads;          ///< k_dim is that of layers that see everything
  int near_dim;              ///< elements of a head where there is a window
  std::vector<int> windows;  ///< by layer
  int near_rope, far_rope;   ///< tables
  int owners;                ///< layers with keys and values of their own; those behind them share

  int head_dim(int layer) const { return windows[static_cast<std::size_t>(layer)] ? near_dim : heads.k_dim; }
  int rope(int layer) const { return windows[static_cast<std::size_t>(layer)] ? near_rope : far_rope; }
};
Gemma4Config read_gemma4(graph::Graph& g, const Keys& keys, const Weights& w, int layers);

/// Queries of a layer, normed and rotated: [tokens, heads, head dim].
graph::Tensor gemma4_queries(graph::Graph& g, const Weights& w, graph::Tensor h, const Gemma4Config& m, int layer, float eps);

/// x times the layer's own factor, where the file has one.
graph::Tensor gemma4_scaled(graph::Graph& g, const Weights& w, graph::Tensor x);

}  // namespace strata::models
