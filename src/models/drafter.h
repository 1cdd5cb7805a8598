// Owns: models that draft for another one: what they take from it. Knows no backend.
#pragma once

#include "models/architecture.h"

namespace strata::models {

/// What a drafter's graph takes from the model it drafts for.
struct DraftInputs {
  graph::Weight embedding;  ///< the model's token embedding, as a weight of the drafter's graph
  graph::Tensor hidden;     ///< the model's hidden state, written by the caller: [tokens, 1, width]
  int width;                ///< the model's embedding length
};

/// One kind of drafter, as Architecture is of models. The graph starts with the model's caches (Graph::kv_layers), in the
/// same order, so that programs of both run on one state.
struct DraftArchitecture {
  const char* name;
  void (*build)(graph::Graph& g, const Keys& keys, const Weights& w, const Common& c, const DraftInputs& in);
};

/// A drafter's graph. Its `hidden` is what the next draft takes in place of the model's.
struct DraftBlueprint {
  Blueprint blueprint;       ///< `tensors` holds one of the model's file, at `model_embedding`
  int model_embedding = -1;  ///< weight of the graph that is the model's token embedding
  graph::Tensor hidden_in;   ///< DraftInputs::hidden
};

/// Whether a file's architecture is a drafter's, which no model can be made of.
bool is_drafter(std::string_view architecture);

/// Records a drafter's graph for a model. Errors name the key or tensor, or what does not fit the model.
Result<std::unique_ptr<DraftBlueprint>> build_drafter(const gguf::File& file, const Blueprint& model);

}  // namespace strata::models
