// Owns: a compiled forward pass: stages and their programs. Knows devices behind their interface.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "models/architecture.h"
#include "runtime/sequence.h"
#include "strata/result.h"

namespace strata::runtime {

/// Adapters that change a model's weights, in order, each by its fingerprint and scale.
using AdapterKey = std::vector<std::pair<std::uint64_t, float>>;

/// Activations that somebody wants to see after every step. Their stages export them, so every device can show them, and
/// an engine without a watch does nothing for it.
struct Watch {
  std::vector<int> tensors;  ///< of the graph; storages
  /// `read` copies the rows of a watched tensor, [rows of the step][width]; int32 tensors as the bits of floats.
  using Read = std::function<Result<void>(int tensor, std::span<float> values)>;
  std::function<Result<void>(const backend::Step& step, const Read& read)> after_step;
};

/// What a step computes: one graph on the devices it is placed on. An engine has several: with logits, with hidden
/// states alone, under adapters. They share weights and state. `run` needs the engine's mutex.
struct Pass {
  const graph::Graph* graph = nullptr;
  std::shared_ptr<const models::Blueprint> blueprint;      ///< owns the graph
  std::vector<std::shared_ptr<const void>> files;          ///< that weights of its own lie in
  std::vector<std::unique_ptr<backend::Weight>> weights;   ///< of its own
  /// By place, then weight of the graph, where it has weights of its own.
  std::vector<std::vector<const backend::Weight*>> by_place;
  std::shared_ptr<Pass> whole;  ///< that it is a part of
  std::vector<graph::Stage> stages;
  std::vector<std::unique_ptr<backend::Program>> programs; ///< by stage
  graph::Capacity capacity;
  AdapterKey adapters;
  const Watch* watch = nullptr;  ///< or null

  /// Runs one step and copies what its outputs are wanted for: logits [outputs][vocabulary], hidden states
  /// [outputs][embedding]. An empty span wants nothing.
  Result<void> run(const backend::Step& step, StatePool& pool, std::span<float> logits, std::span<float> hidden);
  std::uint64_t bytes() const;

 private:
  backend::Program* source_of(int tensor, std::size_t before) const;
  std::vector<float> crossing_;  ///< staging of tensors between devices
};

/// The stages as far as hidden states need them.
std::vector<graph::Stage> without_logits(const graph::Graph& graph, std::vector<graph::Stage> stages);

}  // namespace strata::runtime
