// Owns: how much there is to do for a node of a graph: bytes that must be moved and operations. Knows no backend and no
// time: what an operation costs anybody who computes it once, with every byte touched once.
#pragma once

#include <span>

#include "graph/graph.h"

namespace strata::graph {

/// The tokens of a step that belong to one sequence.
struct Span {
  int position;  ///< of the first
  int count;
};

/// As far as costs depend on it.
struct StepShape {
  std::size_t tokens = 0, outputs = 0;
  std::span<const Span> sequences;
  TensorType cache = TensorType::f16;  ///< of keys and values
  std::size_t rows(Rows kind) const { return kind == Rows::tokens ? tokens : outputs; }
};

struct Cost {
  double memory_bytes = 0;      ///< weights, cache and recurrent states, read or written
  double activation_bytes = 0;  ///< inputs and outputs
  double operations = 0;        ///< additions, products and functions of one element
};

/// Of experts, as many weights as are chosen in the mean where each is as likely as the others.
Cost cost(const Graph& graph, const Node& node, const StepShape& step);

}  // namespace strata::graph
