// Owns: the projections and embeddings of per-layer inputs. Knows weights' names; no architecture.
#include "models/per_layer_input.h"

#include <cmath>

namespace strata::models {

graph::Tensor per_layer_inputs(graph::Graph& g, const Weights& w, graph::Tensor x, int width, const Common& c) {
  graph::Tensor token = g.scale(g.embed(w("per_layer_token_embd")), std::sqrt(static_cast<float>(width)));
  graph::Tensor context = g.scale(g.linear(x, w("per_layer_model_proj")), 1.0f / std::sqrt(static_cast<float>(c.embedding_length)));
  context = g.rms_norm(g.heads(context, c.layers, width), w("per_layer_proj_norm"), c.eps);
  return g.heads(g.scale(g.add(context, token), std::sqrt(0.5f)), 1, c.layers * width);
}

graph::Tensor per_layer_term(graph::Graph& g, const Weights& w, graph::Tensor x, graph::Tensor inputs, int layer, int width, float eps) {
  graph::Tensor h = g.geglu(g.linear(x, w("inp_gate")), g.slice(inputs, layer * width, width));
  return g.rms_norm(g.linear(h, w("proj")), w("post_norm"), eps);
}

}  // namespace strata::models
