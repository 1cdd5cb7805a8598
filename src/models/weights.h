// Owns: binding a model's weights by their names in the file. Knows GGUF's directory and the graph; no architecture.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "graph/graph.h"
#include "strata/result.h"

namespace strata::models {

/// Where a weight of the graph lies in the file: one tensor, or several whose bytes follow each other in the weight, as the
/// experts of old files do.
struct Stored {
  std::vector<const gguf::Tensor*> parts;  ///< views into the file; all of one type and shape
  std::uint64_t bytes() const { return parts.size() * parts.front()->bytes; }
  /// Its bytes where the file is mapped and they lie together, else an empty span.
  std::span<const std::byte> mapped(const gguf::File& file) const;
  Result<void> read(const gguf::File& file, std::uint64_t offset, std::span<std::byte> out) const;
};

struct Adapter;

/// What of the file's directory has been asked for, shared by all views of it.
struct Bindings {
  const gguf::File& file;
  graph::Graph& graph;
  std::span<const Adapter> adapters;
  std::map<std::string, int, std::less<>> bound;  ///< tensor name -> weight of the graph
  std::vector<Stored> tensors;                    ///< by weight of the graph
  std::vector<const gguf::Tensor*> kept;          ///< known, but not part of the graph (blocks for drafting)
  std::set<std::string, std::less<>> used;
  std::vector<std::string> missing;

  /// Names what the model needs and the file lacks, or what the file holds and the model does not know.
  Result<void> check() const;
  /// Binds the adapters' changes to a weight that has just been bound.
  void adapt(const std::string& name, graph::Weight weight);
  /// Every tensor of every adapter changes something.
  Result<void> check_adapters() const;
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
  /// By its whole name below the prefix. `<name>_exps.weight` may be stored as `<name>.0.weight`, `<name>.1.weight` and so
  /// on, one for each expert. A weight is bound with its `.scale`, which multiplies what it gives (WeightInfo::scale);
  /// an `.input_scale`, for engines that quantise inputs with it, is known and not used.
  graph::Weight require(std::string_view name) const;
  graph::Weight find(std::string_view name) const;
  bool has(std::string_view name) const;
  /// The values of a small float32 vector that the graph needs as constants; empty when the file lacks it.
  std::vector<float> values(std::string_view name) const;
  /// Takes a tensor out of the graph's way but keeps it known, where the file holds it.
  void keep(std::string_view name) const;
  /// The same for every tensor below the prefix.
  void keep_all() const;

 private:
  std::vector<const gguf::Tensor*> parts(const std::string& full) const;
  void bind_scale(graph::Weight weight, std::string_view stem) const;

  Bindings* bindings_;
  std::string prefix_;
};

}  // namespace strata::models
