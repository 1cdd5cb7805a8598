// Owns: binding a model's weights by their names in the file. Knows GGUF's directory and the graph; no architecture.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "graph/graph.h"
#include "strata/result.h"

namespace strata::models {

/// What of the file's directory has been asked for, shared by all views of it.
struct Bindings {
  const gguf::File& file;
  graph::Graph& graph;
  std::map<std::string, int, std::less<>> bound;  ///< tensor name -> weight of the graph
  std::vector<const gguf::Tensor*> tensors;       ///< by weight of the graph
  std::vector<const gguf::Tensor*> kept;          ///< known, but not part of the graph (blocks for drafting)
  std::set<std::string, std::less<>> used;
  std::vector<std::string> missing;

  /// Names what the model needs and the file lacks, or what the file holds and the model does not know.
  Result<void> check() const;
};

/// Weights below one prefix: the whole model, or one block.
class Weights {
 public:
  explicit Weights(Bindings& bindings, std::string prefix = "") : bindings_(&bindings), prefix_(std::move(prefix)) {}
  /// Those of block `layer`.
  Weights block(int layer) const;

  /// `<prefix><name>.weight`; a missing one is reported by Bindings::check.
  graph::Weight operator()(std::string_view name) const { return require(std::string(name) + ".weight"); }
  /// The same, false when the file lacks it.
  graph::Weight optional(std::string_view name) const { return find(std::string(name) + ".weight"); }
  /// `<prefix><name>.bias`, false when the file lacks it.
  graph::Weight bias(std::string_view name) const { return find(std::string(name) + ".bias"); }
  /// By its whole name below the prefix.
  graph::Weight require(std::string_view name) const;
  graph::Weight find(std::string_view name) const;
  bool has(std::string_view name) const;
  /// The values of a small float32 vector that the graph needs as constants; empty when the file lacks it.
  std::vector<float> values(std::string_view name) const;
  /// Takes every tensor below the prefix out of the graph's way but keeps it known.
  void keep_all() const;

 private:
  Bindings* bindings_;
  std::string prefix_;
};

}  // namespace strata::models
