// Owns: the feed-forward blocks that several architectures share. Each reads its weights by their names in a block.
#pragma once

#include "graph/graph.h"
#include "models/keys.h"
#include "models/weights.h"

namespace strata::models {

/// down(silu(gate x) * up x), GLU variants (arXiv:2002.05202). Biases are used where the file has them.
graph::Tensor swiglu_mlp(graph::Graph& g, const Weights& w, graph::Tensor x);

/// How a mixture of experts chooses.
graph::RouteParams read_route(const Keys& keys, graph::Gating gating, bool normalise);

/// sum over the chosen experts of weight_e * down_e(silu(gate_e x) * up_e x); sparsely gated mixture (arXiv:1701.06538).
/// gate and up may be one tensor, `ffn_gate_up_exps`, gate's rows first.
graph::Tensor swiglu_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params);

/// The chosen experts plus the shared expert, which every token uses, weighed by a sigmoid gate of its own (one number
/// per token): the feed-forward of Qwen's mixtures since Qwen1.5.
graph::Tensor experts_and_gated_shared(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params);

}  // namespace strata::models
