// Owns: the feed-forward blocks that several architectures share. Each reads its weights by their names in a block.
#pragma once

#include "graph/graph.h"
#include "models/keys.h"
#include "models/weights.h"

namespace strata::models {

/// down(f(gate x, up x)), a gated linear unit (arXiv:2002.05202). gate and up may be one tensor, `ffn_up`, gate's rows
/// first. Biases are used where the file has them.
using Activation = graph::Tensor (graph::Graph::*)(graph::Tensor gate, graph::Tensor up);
graph::Tensor gated_mlp(graph::Graph& g, const Weights& w, graph::Tensor x, Activation f);
inline graph::Tensor swiglu_mlp(graph::Graph& g, const Weights& w, graph::Tensor x) { return gated_mlp(g, w, x, &graph::Graph::swiglu); }
inline graph::Tensor geglu_mlp(graph::Graph& g, const Weights& w, graph::Tensor x) { return gated_mlp(g, w, x, &graph::Graph::geglu); }

/// How a mixture of experts chooses; the arguments are what the architecture does where the file does not say.
graph::RouteParams read_route(const Keys& keys, graph::Gating gating, bool normalise);

/// The router's choice for x. `exp_probs_b.bias`, where the file has it, is added to the probabilities that decide who is
/// chosen (arXiv:2408.15664).
graph::Graph::Routing choose_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params);

/// sum over the chosen experts of weight_e * down_e(f(gate_e x, up_e x)); sparsely gated mixture (arXiv:1701.06538).
/// gate and up may be one tensor, `ffn_gate_up_exps`, gate's rows first. Biases, and scales of whole experts (`.scale`),
/// are used where the file has them.
graph::Tensor gated_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::Graph::Routing& routing, Activation f);
/// Both, for SwiGLU.
graph::Tensor swiglu_experts(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params);

/// The expert that every token uses.
graph::Tensor shared_expert(graph::Graph& g, const Weights& w, graph::Tensor x);

/// The chosen experts plus the shared expert, which every token uses, weighed by a sigmoid gate of its own (one number
/// per token): the feed-forward of Qwen's mixtures since Qwen1.5.
graph::Tensor experts_and_gated_shared(graph::Graph& g, const Weights& w, graph::Tensor x, const graph::RouteParams& params);

}  // namespace strata::models
