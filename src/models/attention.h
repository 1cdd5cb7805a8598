// Owns: what the attention layers of several architectures share: head counts and the dims of a head.
#pragma once

#include <vector>

#include "models/keys.h"

namespace strata::models {

/// Grouped-query attention (arXiv:2305.13245): query head h reads key/value head h / (heads / kv_heads).
struct HeadConfig {
  std::vector<int> heads;     ///< query heads by layer
  std::vector<int> kv_heads;  ///< key/value heads by layer
  int k_dim = 1;              ///< elements of a query and key head
  int v_dim = 1;              ///< elements of a value head
  int rope_dims = 2;          ///< leading elements of a head that are rotated
  float scale = 1.0f;         ///< of q k^T
};
HeadConfig read_heads(const Keys& keys, int layers);

}  // namespace strata::models
