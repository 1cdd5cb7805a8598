// Owns: a bench for one graph: inputs and weights given as numbers, run step by step on the reference.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "backend/ref/ref.h"
#include "kernels/formats/list.h"
#include "support/catch.h"

namespace strata::tests {

using namespace strata::backend;
using graph::Graph;
using graph::Tensor;
using Values = std::vector<float>;

/// A graph whose inputs and weights are given as numbers, run on the reference step by step.
class Bench {
 public:
  Graph g;

  Tensor input(int heads, int dim) {
    Tensor x = g.embed(g.weight({"input", TensorType::f32, {static_cast<std::uint64_t>(heads * dim), 1, 1, 1}}));
    weights_.emplace_back();
    inputs_.push_back(x.id);
    return g.heads(x, heads, dim);
  }
  graph::Weight weight(std::array<std::uint64_t, 4> ne, const Values& values, TensorType type = TensorType::f32) {
    const std::size_t rows = ne[1] * ne[2] * ne[3], bytes = row_bytes(type, ne[0]);
    REQUIRE(values.size() == rows * ne[0]);
    std::vector<std::byte> encoded(rows * bytes);
    for (std::size_t r = 0; r < rows; r++)
      formats::find(type)->encode(&values[r * ne[0]], nullptr, &encoded[r * bytes], static_cast<std::int64_t>(ne[0]));
    weights_.push_back(encoded);
    return g.weight({"w", type, ne});
  }
  void watch(Tensor t) { watched_.push_back(t.id); }

  /// Compiles; called once, when the graph is complete.
  void start(KvType type = KvType::f32, int page_tokens = 2) {
    if (g.error()) FAIL(g.error()->message);
    graph::Stage stage;
    stage.imports = inputs_;
    for (int id : watched_) stage.exports.push_back(g.tensors[id].storage);
    for (std::size_t i = 0; i < g.nodes.size(); i++)
      if (std::find(inputs_.begin(), inputs_.end(), g.nodes[i].out[0]) == inputs_.end())
        stage.nodes.push_back(static_cast<int>(i));
    std::vector<const Weight*> pointers;
    for (std::size_t i = 0; i < weights_.size(); i++) {
      WeightSource source;
      source.mapped = weights_[i];
      source.bytes = weights_[i].size();
      if (!weights_[i].empty()) loaded_.push_back(device_->load(g.weights[i], source).value_or_throw());
      pointers.push_back(weights_[i].empty() ? nullptr : loaded_.back().get());
    }
    state_ = device_->make_state({g.kv_layers, g.recurrent_states, type, page_tokens}).value_or_throw();
    for (Piece kind : kPieces) state_->reserve(kind, 4).value_or_throw();
    state_->clear_slot(0).value_or_throw();
    state_->clear_slot(1).value_or_throw();
    program_ = device_->compile(g, stage, pointers, {8, 8}).value_or_throw();
  }

  /// One sequence, in slot 0 and pages 2, 0, 3, 1; returns the watched tensors one after another.
  Values step(const std::vector<Values>& inputs, std::vector<std::int32_t> positions,
              std::vector<std::int32_t> outputs = {}, std::vector<std::int32_t> tokens = {}) {
    tokens.resize(positions.size(), 0);
    const int pages[] = {2, 0, 3, 1};
    const SequenceStep sequence{0, static_cast<int>(positions.size()), next_, pages, pages, 0};
    next_ += sequence.count;
    const Step step{tokens, positions, outputs, {&sequence, 1}};
    for (std::size_t i = 0; i < inputs.size(); i++) program_->write(inputs_[i], inputs[i]).value_or_throw();
    program_->run(step, *state_).value_or_throw();
    Values all;
    for (int id : watched_) {
      Values part(step.rows(g.tensors[id].rows) * g.tensors[id].width());
      program_->read(id, part).value_or_throw();
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

 private:
  std::unique_ptr<Device> device_ = open_ref().value_or_throw();
  std::vector<std::vector<std::byte>> weights_;
  std::vector<std::unique_ptr<Weight>> loaded_;
  std::unique_ptr<StateStore> state_;
  std::unique_ptr<Program> program_;
  std::vector<int> inputs_, watched_;
  int next_ = 0;
};

}  // namespace strata::tests
