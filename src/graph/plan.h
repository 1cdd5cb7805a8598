// Owns: turning a recorded graph into work for devices: which device runs which nodes, what crosses between them, and
// where each activation lives. Knows devices only as numbers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace strata::graph {

/// The largest step a program must run.
struct Capacity {
  int tokens = 0;
  int outputs = 0;
  std::size_t rows(Rows kind) const { return static_cast<std::size_t>(kind == Rows::tokens ? tokens : outputs); }
};

/// A run of consecutive nodes on one device.
struct Stage {
  int device = 0;
  std::vector<int> nodes;
  std::vector<int> imports;  ///< tensors (storage ids) that an earlier stage on another device wrote
  std::vector<int> exports;  ///< tensors (storage ids) that a later stage on another device, or the caller, reads
};

/// Cuts the graph into stages. `device_of_layer[l]` is the device of block l; what comes before the first block runs
/// with it, what comes after the last runs with that.
std::vector<Stage> plan_stages(const Graph& graph, std::span<const int> device_of_layer);

/// Memory of a stage's activations: tensors whose lives do not overlap share bytes.
struct Arena {
  static constexpr std::size_t kAlignment = 64;
  std::vector<std::size_t> offset;  ///< by tensor id (views have their storage's); npos for tensors of other stages
  std::size_t bytes = 0;
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

/// Liveness over the stage's order of nodes; imports live from the start, exports to the end.
Arena plan_arena(const Graph& graph, const Stage& stage, const Capacity& capacity);

}  // namespace strata::graph
