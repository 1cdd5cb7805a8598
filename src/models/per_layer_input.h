// Owns: what each layer of the small Gemmas is told of the token, beside the residual stream.
#pragma once

#include "models/architecture.h"

namespace strata::models {

/// (rms(W x / sqrt(embedding)) + sqrt(width) embed(token)) / sqrt(2) for every layer, where x [tokens, 1, embedding] is the
/// token's embedding as the first layer sees it: [tokens, 1, layers * width], one layer behind the other.
graph::Tensor per_layer_inputs(graph::Graph& g, const Weights& w, graph::Tensor x, int width, const Common& c);

/// W(gelu(V x) * input of the layer), normed: what is added to the residual stream at a layer's end.
graph::Tensor per_layer_term(graph::Graph& g, const Weights& w, graph::Tensor x, graph::Tensor inputs, int layer, int width, float eps);

}  // namespace strata::models
