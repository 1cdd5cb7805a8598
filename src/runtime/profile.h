// Owns: summing up what steps took, by kind of operation. Knows graphs and their costs; no device.
#pragma once

#include <map>
#include <span>
#include <utility>

#include "backend/backend.h"
#include "graph/cost.h"
#include "strata/roofline.h"

namespace strata::runtime {

class Profiler {
 public:
  explicit Profiler(TensorType cache) : cache_(cache) {}
  /// `seconds`: of the whole step. Where the times are empty the stages' nodes are counted, and take no time.
  void add(const graph::Graph& graph, std::span<const graph::Stage> stages, const backend::Step& step,
           const backend::StepTimes& times, double seconds);
  Profile profile() const;

 private:
  using Kind = std::pair<graph::Op, int>;  ///< and the type of its weights or cache; -1: it has none
  Kind kind_of(const graph::Graph& graph, const graph::Node& node) const;
  void add_part(const graph::Graph& graph, const graph::StepShape& shape, const backend::StepTimes::Part& part);

  TensorType cache_;
  std::map<Kind, StageProfile> stages_;
  std::uint64_t steps_ = 0, tokens_ = 0;
  double seconds_ = 0;
};

}  // namespace strata::runtime
