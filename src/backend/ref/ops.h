// Owns: the meaning of every operation, as functions over accessors, so that any device that can hand out one weight
// row or one cache row at a time can be checked with it. Knows no memory layout but that of a row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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
  /// All floats of one recurrent state of a slot.
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
  std::array<const WeightRows*, 3> weight = {};  ///< null where the node has none
  StateAccess* state = nullptr;

  const graph::TensorInfo& input(int i) const { return graph.tensors[node.in[i]]; }
  const graph::TensorInfo& output(int i) const { return graph.tensors[node.out[i]]; }
  const graph::WeightInfo& weight_info(int i) const { return graph.weights[node.weight[i]]; }
  std::size_t rows() const { return step.rows(output(0).rows); }
  /// Rows of an input or output; `x` and `put` are their elements.
  const float* in_row(int i, std::size_t row) const {
    return static_cast<const float*>(in[i]) + row * input(i).width();
  }
  float* out_row(int i, std::size_t row) const { return static_cast<float*>(out[i]) + row * output(i).width(); }
  double x(int i, std::size_t row, std::size_t element) const { return in_row(i, row)[element]; }
  void put(int i, std::size_t row, std::size_t element, double value) const {
    out_row(i, row)[element] = static_cast<float>(value);
  }
};

/// Whether the node can be computed: its weights have decoders and whole blocks. The error names the weight.
Result<void> check_node(const graph::Graph& graph, const graph::Node& node);

/// How many of each Piece a store has room for.
using PieceCounts = std::array<int, 3>;

/// Whether a step is consistent and within what was reserved; `run_node` relies on it.
Result<void> check_step(const Step& step, const graph::Capacity& capacity, const StateLayout& layout, const PieceCounts& reserved);

/// Computes the node. An error when ids (tokens, experts) are out of range.
Result<void> run_node(const OpCall& call);

/// Size of a weight; an error when its shape is empty, overflows or cuts a block.
struct WeightSize {
  std::uint64_t row_bytes, rows;
  std::uint64_t bytes() const { return row_bytes * rows; }
};
Result<WeightSize> weight_size(const graph::WeightInfo& weight);

// --- shared by the files that implement operations -------------------------------------------------------------------

double dot(const double* a, const float* b, std::size_t n);  ///< sum of a[i] * b[i]
/// Row i of a weight of the node.
std::vector<double> decode_row(const OpCall& call, int weight, std::uint64_t i);
/// What multiplies each of a product's matrices.
std::vector<double> decode_scales(const OpCall& call);
double silu(double x);
double logistic(double x);
double softcapped(double x, double cap);

Result<void> attention(const OpCall& call);
Result<void> short_conv(const OpCall& call);
Result<void> delta_net(const OpCall& call);
Result<void> route(const OpCall& call);
Result<void> expert_linear(const OpCall& call);
Result<void> combine(const OpCall& call);

}  // namespace strata::backend::ref
