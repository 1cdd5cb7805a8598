// Owns: reading head counts. Knows metadata keys; no tensors.
#include "models/attention.h"

#include <algorithm>
#include <cmath>

namespace strata::models {

HeadConfig read_heads(const Keys& keys, int layers) {
  constexpr int kMaxHeads = 1 << 14, kMaxDim = 1 << 14, kMaxWidth = 1 << 24;
  HeadConfig c;
  c.heads = keys.per_layer("attention.head_count", layers, 1, kMaxHeads);
  c.kv_heads = c.heads;
  int first = c.heads.empty() ? 1 : c.heads.front();
  // Recurrent layers of hybrid models may be listed with 0 heads; a file without the key has as many as query heads.
  if (auto given = keys.per_layer("attention.head_count_kv", layers, 0, kMaxHeads, 0);
      std::any_of(given.begin(), given.end(), [](int n) { return n != 0; }))
    c.kv_heads = given;
  int derived = keys.integer("embedding_length", 1, kMaxWidth) / first;
  c.k_dim = keys.integer("attention.key_length", 1, kMaxDim, derived);
  c.v_dim = keys.integer("attention.value_length", 1, kMaxDim, derived);
  c.rope_dims = keys.integer("rope.dimension_count", 2, kMaxDim, c.k_dim);
  float scale = keys.number("attention.scale", 0.0f);
  c.scale = scale != 0 ? scale : 1.0f / std::sqrt(static_cast<float>(c.k_dim));
  return c;
}

}  // namespace strata::models
