// Owns: rotary position embedding tables from metadata: base, linear and YaRN scaling, frequency factors.
#pragma once

#include <span>

#include "graph/graph.h"
#include "models/keys.h"

namespace strata::models {

/// The table of `dims` rotated dims (arXiv:2104.09864): frequency_i = base^(-2i/dims), divided by `factors[i]` when given
/// (Llama 3.1 scaling), then scaled as `rope.scaling.*` says: "linear" (arXiv:2306.15595) or "yarn" (arXiv:2309.00071).
/// `adjacent` pairs (2i, 2i+1); else (i, i + dims/2), "NeoX".
graph::RopeTable rope_table(const Keys& keys, int dims, std::span<const float> factors, bool adjacent);

}  // namespace strata::models
