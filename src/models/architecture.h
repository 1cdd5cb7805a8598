// Owns: what the runtime sees of a model: its graph, bound to the tensors of a file. Knows no backend.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "graph/graph.h"
#include "models/keys.h"
#include "models/weights.h"
#include "strata/result.h"

namespace strata::models {

/// What every architecture shares.
struct Common {
  int layers = 0;      ///< main blocks
  int mtp_layers = 0;  ///< multi-token-prediction blocks behind them, kept for drafting
  int context_length = 0;
  int embedding_length = 0;
  float eps = 0;       ///< of the RMS norms
};

/// One architecture: its name in `general.architecture` and the function that records its forward pass.
struct Architecture {
  const char* name;
  void (*build)(graph::Graph& g, const Keys& keys, const Weights& w, const Common& c);
};

/// logits = output(rms(x)), under the norm of that name; the head is the embedding table where the file has no
/// `output.weight`.
void output_head(graph::Graph& g, const Weights& w, graph::Tensor x, float eps, std::string_view norm = "output_norm");

/// A model's graph with the tensors that its weights stand for.
struct Blueprint {
  std::string architecture;
  Common common;
  graph::Graph graph;
  std::vector<Stored> tensors;               ///< by weight of the graph
  std::vector<const gguf::Tensor*> kept;     ///< known, but not part of the graph
  std::vector<int> suppressed;               ///< tokens whose logits are minus infinity, ascending
};

/// Whether the recorded graph is sound and uses the file's tensors, all of them; takes them into the blueprint.
Result<void> finish(Bindings& bindings, const Keys& keys, Blueprint& blueprint);

/// Low-rank changes to a model's matrices: `<tensor>.lora_a` and `<tensor>.lora_b` of a file, times `scale`.
struct Adapter {
  const gguf::File* file;
  float scale;
};

/// Records the graph of the file's architecture, under adapters if there are any. Errors name the key or tensor, or list
/// the architectures known here.
Result<std::unique_ptr<Blueprint>> build(const gguf::File& file, std::span<const Adapter> adapters = {});

}  // namespace strata::models
