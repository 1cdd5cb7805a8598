// Owns: rotary position embedding tables from metadata: base, linear and YaRN scaling, frequency factors.
#pragma once

#include <optional>
#include <span>

#include "graph/graph.h"
#include "models/keys.h"
#include "models/weights.h"

namespace strata::models {

/// The table of `dims` rotated dims (arXiv:2104.09864): frequency_i = base^(-2i/dims), divided by `factors[i]` when given
/// (Llama 3.1 scaling), then scaled as `rope.scaling.*` says: "linear" (arXiv:2306.15595) or "yarn" (arXiv:2309.00071).
/// `adjacent` pairs (2i, 2i+1); else (i, i + dims/2), "NeoX".
graph::RopeTable rope_table(const Keys& keys, int dims, std::span<const float> factors, bool adjacent);

/// The same with the factors that the file holds: `rope_freqs`, or `rope_factors_long` and `rope_factors_short`, of which
/// a sequence takes the first when it is made for more than `rope.scaling.original_context_length` positions.
graph::RopeTable rope_table(const Keys& keys, const Weights& w, int dims, bool adjacent);

/// That of layers with a sliding window which have a base of their own, `rope.freq_base_swa`; it is never scaled.
graph::RopeTable window_rope_table(const Keys& keys, int dims, std::optional<float> base, bool adjacent);

}  // namespace strata::models
