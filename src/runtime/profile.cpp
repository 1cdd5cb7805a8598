// Owns: summing up what steps took, by kind of operation. Knows graphs and their costs; no device.
#include "runtime/profile.h"

#include <algorithm>

namespace strata::runtime {

namespace {

bool is_product(graph::Op op) {
  return op == graph::Op::linear || op == graph::Op::head_linear || op == graph::Op::expert_linear;
}

}  // namespace

Profiler::Kind Profiler::kind_of(const graph::Graph& graph, const graph::Node& node) const {
  if (node.op == graph::Op::attention) return {node.op, static_cast<int>(cache_)};
  if ((is_product(node.op) || node.op == graph::Op::embed) && node.weight[0] >= 0)
    return {node.op, static_cast<int>(graph.weights[static_cast<std::size_t>(node.weight[0])].type)};
  return {node.op, -1};
}

void Profiler::add(const graph::Graph& graph, std::span<const graph::Stage> stages, const backend::Step& step,
                   const backend::StepTimes& times, double seconds) {
  std::vector<graph::Span> spans;
  for (const backend::SequenceStep& s : step.sequences) spans.push_back({s.position, s.count});
  const graph::StepShape shape{step.tokens.size(), step.outputs.size(), spans, cache_};
  ++steps_;
  tokens_ += step.tokens.size();
  seconds_ += seconds;
  for (const backend::StepTimes::Part& part : times.parts) add_part(graph, shape, part);
  if (times.parts.empty())
    for (const graph::Stage& stage : stages)
      for (const int& node : stage.nodes) add_part(graph, shape, {{&node, 1}, 0});
}

/// Nodes computed together share their seconds as they share their bytes.
void Profiler::add_part(const graph::Graph& graph, const graph::StepShape& shape, const backend::StepTimes::Part& part) {
  std::vector<graph::Cost> costs;
  double whole = 0;
  for (int id : part.nodes) {
    costs.push_back(graph::cost(graph, graph.nodes[static_cast<std::size_t>(id)], shape));
    whole += costs.back().memory_bytes + costs.back().activation_bytes;
  }
  for (std::size_t i = 0; i < part.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[static_cast<std::size_t>(part.nodes[i])];
    const Kind kind = kind_of(graph, node);
    StageProfile& stage = stages_[kind];
    if (stage.operation.empty()) {
      stage.operation = graph::name(node.op);
      if (kind.second >= 0) {
        const TypeInfo& type = *type_info(static_cast<TensorType>(kind.second));
        stage.format = type.name;
        stage.integer = is_product(node.op) && type.block > 1;
      }
    }
    const graph::Cost& cost = costs[i];
    ++stage.calls;
    stage.seconds += part.seconds * (whole > 0 ? (cost.memory_bytes + cost.activation_bytes) / whole : 1 / static_cast<double>(costs.size()));
    stage.memory_bytes += cost.memory_bytes;
    stage.activation_bytes += cost.activation_bytes;
    stage.operations += cost.operations;
  }
}

Profile Profiler::profile() const {
  Profile out;
  out.steps = steps_;
  out.tokens = tokens_;
  out.seconds = seconds_;
  for (const auto& [kind, stage] : stages_) out.stages.push_back(stage);
  std::stable_sort(out.stages.begin(), out.stages.end(),
                   [](const StageProfile& a, const StageProfile& b) { return a.seconds > b.seconds; });
  return out;
}

}  // namespace strata::runtime
