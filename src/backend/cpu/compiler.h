// Owns: turning a stage into a list of calls: the order of nodes, where things live, where threads must wait.
// The operations themselves are in ops_*.cpp, one member function each. Runs nothing.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "backend/cpu/program.h"
#include "backend/cpu/weight.h"
#include "graph/graph.h"
#include "kernels/cpu/kernels.h"

namespace strata::cpu {

/// How a call's items are dealt out: rows * units equal pieces in order, a contiguous run of them to each part
/// (Share::of). 0 units: in some other way. Two calls cut alike give the same piece to the same part of a phase.
struct Cut {
  graph::Rows rows = graph::Rows::tokens;
  int units = 0;
  bool operator==(const Cut&) const = default;
};

/// An activation in the program's memory: float [rows, heads, dim] from byte `offset` on.
struct Array {
  std::size_t offset = 0;
  graph::Rows rows = graph::Rows::tokens;
  int heads = 1, dim = 0;
  std::size_t width() const { return static_cast<std::size_t>(heads) * static_cast<std::size_t>(dim); }
};

/// Rows of an activation as a dot product takes them, `stride` bytes apart.
struct ActivationRows {
  std::size_t offset, stride, bytes;
};

/// Memory that a call touches. With a cut, a part touches the bytes of its own pieces only.
struct Access {
  std::size_t begin, end;
  bool write;
  Cut cut;
};

class Compiler {
 public:
  Compiler(const graph::Graph& graph, const graph::Stage& stage, std::span<const backend::Weight* const> weights,
           const graph::Capacity& capacity, const kernels::IsaKernels& isa);
  /// Once.
  Result<Compiled> compile();

 private:
  using Node = graph::Node;
  using Group = std::vector<int>;  ///< nodes that become one call

  // --- order and dispatch (compiler.cpp)
  std::vector<Group> group_nodes() const;
  void plan_activations(const std::vector<Group>& groups);
  void emit(const Group& group);
  Result<void> check_weights() const;

  // --- memory (compiler.cpp)
  const Node& node(int id) const { return graph_.nodes[static_cast<std::size_t>(id)]; }
  Array array(int tensor) const;
  Array in(const Node& n, int i = 0) const { return array(n.in[static_cast<std::size_t>(i)]); }
  Array out(const Node& n, int i = 0) const { return array(n.out[static_cast<std::size_t>(i)]); }
  const HostWeight& weight(int id) const;
  const graph::WeightInfo& weight_info(int id) const { return graph_.weights[static_cast<std::size_t>(id)]; }
  /// All elements of a weight as floats; null when there is no such weight.
  const float* vector(int id);
  /// Bytes that live as long as the program.
  std::size_t reserve(std::size_t bytes);
  void need_scratch(std::size_t bytes);

  // --- calls and barriers (compiler.cpp)
  Access read(const Array& a, Cut cut = {}) const { return access(a, false, cut); }
  Access write(const Array& a, Cut cut = {}) const { return access(a, true, cut); }
  Access access(const Array& a, bool writes, Cut cut) const;
  /// Bytes [offset, offset + bytes).
  static Access region(std::size_t offset, std::size_t bytes, bool writes, Cut cut = {}) {
    return {offset, offset + bytes, writes, cut};
  }
  /// Calls that take long are cut finer than there are threads.
  static constexpr int kOnce = 1, kFine = 4;
  void add(std::vector<Access> accesses, int grain, std::function<void(const StepView&, Share)> run);
  /// A call of `run(view, share, item)` for every piece of the cut.
  template <class F>
  void add_items(Cut cut, std::vector<Access> accesses, F run) {
    add(std::move(accesses), kOnce, [cut, run](const StepView& view, Share share) {
      Range range = share.of(view.rows(cut.rows) * static_cast<std::size_t>(cut.units));
      for (std::size_t i = range.begin; i < range.end; ++i) run(view, share, i);
    });
  }
  /// The cut of the call that wrote `a`, if threads have not met since: a call cut like it need not wait for it.
  /// Otherwise `fallback`.
  Cut follow(const Array& a, Cut fallback) const;
  static Cut by_row(const Array& a) { return {a.rows, 1}; }
  static Cut by_head(const Array& a) { return {a.rows, a.heads}; }
  /// For work that is worth sharing even when there is one row.
  static Cut by_block(const Array& a);

  // --- operations
  void embed(const Node& n);
  void gather(const Node& n);
  void norm(const Node& n);
  void match_norm(const Node& n);
  void sparsify(const Node& n);
  void weigh(const Node& n);
  void unary(const Node& n);
  void binary(const Node& n);
  void gate_by_scalar(const Node& n);
  void mul_by_head(const Node& n);
  void decay(const Node& n);
  void slice(const Node& n);
  void concat(const Node& n);
  void combine(const Node& n);
  void rope_tables();
  void rope(const Node& n);

  void attention(const Node& n);
  void append(const Node& n, Access cache);

  void short_conv(const Node& n);
  void delta_net(const Node& n);

  struct Matrix;  ///< a weight, its input and its output
  struct Lists;   ///< who uses which expert
  Matrix matrix(const Node& n);
  ActivationRows activation(const Node& n);
  void linear(const Group& group);
  void head_linear(const Node& n);
  void route(const Node& n);
  Lists expert_lists(const Array& ids, int storage, std::size_t experts);
  void expert_linear(const Group& group);

  // --- quantised activations: one copy per tensor, format and row length, from its first use to its last
  struct ActivationKey {
    int storage;
    kernels::ActivationFormat format;
    int k;  ///< elements of a row
    auto operator<=>(const ActivationKey&) const = default;
  };
  struct ActivationUse {
    int last_group = 0;
    std::size_t offset = graph::Arena::npos;
    std::size_t bytes = 0;
  };
  ActivationKey activation_key(const Node& n) const;
  /// How all readers of a node's output take it, where they are products that quantise it alike.
  std::optional<ActivationKey> quantised_only(const Node& n) const;
  /// Where the rows of `key` lie, which are made of `x`; takes room for them the first time.
  ActivationRows place_activation(const ActivationKey& key, const Array& x);
  void release_activations();
  /// A call that computes rows of `y` and quantises them while they are in the cache: nobody reads them as floats.
  /// `row(view, i, to)` computes the i-th run of as many floats as a row of `key` has.
  template <class F>
  void add_quantised(const ActivationKey& key, const Array& y, std::initializer_list<Array> inputs, F row) {
    const auto [storage, format, k] = key;
    const auto floats = static_cast<std::size_t>(k);
    const ActivationRows rows = place_activation(key, y);
    const Cut cut{y.rows, static_cast<int>(y.width() / floats)};
    std::vector<Access> accesses{region(rows.offset, rows.bytes, true, cut)};
    for (const Array& x : inputs) accesses.push_back(read(x, cut));
    need_scratch(floats * sizeof(float));
    const auto quantise = isa_.quantize[static_cast<std::size_t>(format)];
    add_items(cut, std::move(accesses), [rows, row, k = k, quantise](const StepView& s, Share share, std::size_t i) {
      float* x = s.scratch_of<float>(share);
      row(s, i, x);
      quantise(x, s.memory + rows.offset + i * rows.stride, k);
    });
  }

  const graph::Graph& graph_;
  graph::Stage stage_;  ///< nodes in the order they run
  const std::span<const backend::Weight* const> weights_;
  const graph::Capacity capacity_;
  const kernels::IsaKernels& isa_;

  Compiled out_;
  std::vector<Access> pending_;  ///< since the last barrier
  std::map<int, const float*> vectors_;
  std::map<int, std::size_t> rope_tables_;  ///< offset of a table's [tokens][cos of pairs, sin of pairs]
  std::map<ActivationKey, ActivationUse> activations_;
  std::multimap<std::size_t, std::size_t> free_activations_;  ///< bytes -> offset
  int group_index_ = 0;
  struct ListsRegion {
    std::size_t offset = 0;
    int storage = -1;  ///< of the expert ids that it lists now
  };
  std::map<std::size_t, ListsRegion> lists_;  ///< by size
};

}  // namespace strata::cpu
