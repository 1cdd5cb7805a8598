// Owns: the meaning of every operation, as functions over accessors, so that any device that can hand out one weight
// row or one cache row at a time can be checked with it. Knows no memory layout but that of a row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace strata::backend::ref {

/// One weight on a device.
class WeightRows {
 public:
  virtual ~WeightRows() = default;
  /// Row i of ne[1] * ne[2] * ne[3], in the weight's format. Valid until the next call.
  virtual const std::byte* row(std::uint64_t i) const = 0;
};

/// What a device remembers of sequences. Pointers are valid until the next call.
class StateAccess {
 public:
  virtual ~StateAccess() = default;
  /// The key (k_dim elements) or value (v_dim elements) of one head at a position within a page, in `kv_type()`.
  virtual std::byte* k_row(int kv, int page, int head, int position) = 0;
  virtual std::byte* v_row(int kv, int page, int head, int position) = 0;
  /// All floats of one recurrent state of a slot; valid until the next call with another state or slot.
  virtual float* recurrent(int state, int slot) = 0;
  virtual KvType kv_type() const = 0;
  virtual int page_tokens() const = 0;
};

/// One node of one step. Tensors are contiguous [rows, heads, dim].
struct OpCall {
  const graph::Graph& graph;
  const graph::Node& node;
  const Step& step;
  std::array<const void*, 5> in = {};
  std::array<void*, 2> out = {};
  std::array<const WeightRows*, 2> weight = {};  ///< null where the node has none
  StateAccess* state = nullptr;
};

/// Whether the node can be computed: its weights have decoders and whole blocks. The error names the weight.
Result<void> check_node(const graph::Graph& graph, const graph::Node& node);

/// Whether a step is consistent and within what was reserved; sizes in an OpCall rely on it.
Result<void> check_step(const Step& step, const graph::Capacity& capacity, const StateLayout& layout, int pages, int slots);

/// Computes the node. An error when ids (tokens, experts) are out of range.
Result<void> run_node(const OpCall& call);

/// Bytes of a weight's row and of all of it; an error when its shape overflows, or cuts a block.
struct WeightSize {
  std::uint64_t row_bytes = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes() const { return row_bytes * rows; }
};
Result<WeightSize> weight_size(const graph::WeightInfo& weight);

/// How rows of the cache are encoded, as a tensor type.
inline TensorType cache_type(KvType type) { return type == KvType::f16 ? TensorType::f16 : TensorType::f32; }

// --- shared by the files that implement operations ------------------------------------------------------------------

/// Sum of a[i] * b[i].
double dot(const double* a, const float* b, std::size_t n);
/// Row i of a weight as n numbers.
void decode_row(const OpCall& call, int which, std::uint64_t i, std::vector<float>& out);
double silu(double x);

Result<void> attention(const OpCall& call);
Result<void> short_conv(const OpCall& call);
Result<void> delta_net(const OpCall& call);
Result<void> route(const OpCall& call);
Result<void> expert_linear(const OpCall& call);

inline const graph::TensorInfo& input(const OpCall& c, int i) { return c.graph.tensors[static_cast<std::size_t>(c.node.in[static_cast<std::size_t>(i)])]; }
inline const graph::TensorInfo& output(const OpCall& c, int i) { return c.graph.tensors[static_cast<std::size_t>(c.node.out[static_cast<std::size_t>(i)])]; }
inline const float* in_row(const OpCall& c, int i, std::size_t row) {
  return static_cast<const float*>(c.in[static_cast<std::size_t>(i)]) + row * input(c, i).width();
}
inline float* out_row(const OpCall& c, int i, std::size_t row) {
  return static_cast<float*>(c.out[static_cast<std::size_t>(i)]) + row * output(c, i).width();
}

}  // namespace strata::backend::ref
