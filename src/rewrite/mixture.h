// Owns: which tensor of a model gets which type in each named mixture, and what a row that does not fit a type gets
// instead. Knows tensors' names and shapes; reads and writes nothing.
#pragma once

#include <cstdint>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "kernels/formats/types.h"

namespace strata::rewrite {

/// A named recipe, e.g. Q4_K_M: a type that most tensors get, and rules for those that are worth more bits.
struct Mixture {
  const char* name;
  TensorType base;
  std::uint32_t file_type;  ///< `general.file_type`, a number that other programs show
};
std::span<const Mixture> mixtures();
/// By name in any case; Q3_K, Q4_K, Q5_K and MXFP4 stand for Q3_K_M, Q4_K_M, Q5_K_M and MXFP4_MOE. Null when unknown.
const Mixture* find_mixture(std::string_view name);

/// What the rules ask of a model.
struct ModelFacts {
  std::string architecture;
  int layers = 0;            ///< blocks, those for multi-token prediction included
  int experts = 0;
  int queries_per_key = 0;   ///< heads / kv heads of the first block; 0 where it has no kv heads
  bool seventy_billion = false;  ///< 80 layers with grouped queries: attn_v is small and worth more bits
};
ModelFacts facts_of(const gguf::File& file);

struct TensorShape {
  std::string_view name;
  TensorType type;       ///< in the input
  std::uint64_t ne[4] = {1, 1, 1, 1};
  int dims = 1;
};

struct Assignment {
  TensorType type;
  bool converted = false;  ///< whether the mixture or an override decided; else the tensor is kept as it is
  bool fallback = false;   ///< the row does not fit the type that was meant
};

/// A tensor in whose name the pattern is found gets this type; the first in the list wins.
struct Override {
  std::regex pattern;
  TensorType type;
  bool matches(std::string_view name) const { return std::regex_search(name.begin(), name.end(), pattern); }
};

/// One assignment for each tensor, in their order.
std::vector<Assignment> assign(const Mixture& mixture, const ModelFacts& facts, std::span<const TensorShape> tensors,
                               std::span<const Override> overrides, bool has_importance);

}  // namespace strata::rewrite
