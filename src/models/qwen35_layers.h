// Owns: the two token mixers of Qwen3-Next, Qwen3.5 and Qwen3.6.
#pragma once

#include <vector>

#include "graph/graph.h"
#include "models/architecture.h"
#include "models/attention.h"

namespace strata::models {

struct Qwen35Config {
  HeadConfig heads;             ///< of the attention layers
  std::vector<bool> recurrent;  ///< by layer: Gated DeltaNet, else attention
  int rope = 0;                 ///< table of the graph
  int key_heads = 1;            ///< DeltaNet
  int value_heads = 1;
  int state_dim = 1;            ///< elements of a DeltaNet key head and of a value head
};
Qwen35Config read_qwen35(graph::Graph& g, const Keys& keys, const Common& c);

/// Gated attention: GQA whose output is scaled elementwise by a sigmoid gate that the query projection carries.
graph::Tensor gated_attention(graph::Graph& g, const Qwen35Config& q, const Weights& w, graph::Tensor h, int layer, float eps);

/// What a DeltaNet layer projects from its input, [tokens, 1, .] each.
struct DeltaInputs {
  graph::Tensor qkv;    ///< [key heads * dim | key heads * dim | value heads * dim], before the convolution
  graph::Tensor z;      ///< [value heads * dim], gates the output
  graph::Tensor beta;   ///< [value heads], before the sigmoid: how strongly a token corrects the state
  graph::Tensor alpha;  ///< [value heads], before softplus: how fast the state decays
};
/// Each from a weight of its own, as Qwen3.5 files have them.
DeltaInputs delta_inputs(graph::Graph& g, const Weights& w, graph::Tensor h);

/// Gated DeltaNet (arXiv:2412.06464): a linear attention whose state forgets by a learned decay and is corrected by the
/// delta rule; a short causal convolution before it, a gated norm behind it.
graph::Tensor gated_delta_net(graph::Graph& g, const Qwen35Config& q, const Weights& w, const DeltaInputs& in,
                              graph::KeyHeads order, float eps);

}  // namespace strata::models
