// Owns: the `gemma4-assistant` forward pass. Knows graphs, weights' names and keys; no backend.
// The drafter of Gemma 4, a file beside the model's: narrow layers without keys and values of their own, which attend to the
// model's caches. Its input is the model's embedding of the last token and the model's hidden state (at first that behind
// `output_norm`, then its own guess of the next one); every draft of a round stands at the model's last position.
#include <cmath>

#include "base/text.h"
#include "models/drafter.h"
#include "models/feed_forward.h"
#include "models/gemma4_layers.h"

namespace strata::models {

using graph::Graph;
using graph::Tensor;

namespace {

/// The model's last cache with a window, or without.
int last_cache(const Keys& keys, const Graph& g, bool window) {
  for (int kv = static_cast<int>(g.kv_layers.size()) - 1; kv >= 0; --kv)
    if ((g.kv_layers[static_cast<std::size_t>(kv)].window > 0) == window) return kv;
  keys.reject(fail(ErrorCode::bad_file, keys.full("attention.sliding_window_pattern"), ": the model has no layer ",
                   window ? "with" : "without", " a window to read the cache of"));
  return 0;
}

}  // namespace

void build_gemma4_assistant(Graph& g, const Keys& keys, const Weights& w, const Common& c, const DraftInputs& in) {
  const Gemma4Config m = read_gemma4(g, keys, w, c.layers);

  const Tensor token = g.scale(g.embed(in.embedding), std::sqrt(static_cast<float>(in.width)));
  Tensor x = g.linear(g.concat(token, in.hidden), w("nextn.pre_projection"));  // [tokens, 1, embedding]
  for (int layer = 0; layer < c.layers; ++layer) {
    g.enter_layer(layer);
    const Weights b = w.block(layer);
    const int window = m.windows[static_cast<std::size_t>(layer)];

    Tensor q = gemma4_queries(g, b, g.rms_norm(x, b("attn_norm"), c.eps), m, layer, c.eps);
    Tensor h = g.linear(g.attention_over(last_cache(keys, g, window > 0), q, {.scale = 1.0f, .window = window}), b("attn_output"));
    x = g.add(x, g.rms_norm(h, b("post_attention_norm"), c.eps));

    h = geglu_mlp(g, b, g.rms_norm(x, b("ffn_norm"), c.eps));
    x = gemma4_scaled(g, b, g.add(x, g.rms_norm(h, b("post_ffw_norm"), c.eps)));
  }
  g.enter_layer(c.layers);
  output_head(g, w, x, c.eps);
  g.hidden = g.linear(g.hidden, w("nextn.post_projection"));
}

}  // namespace strata::models
