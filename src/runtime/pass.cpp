// Owns: running a pass's stages in order; leaving out what nobody reads. Knows devices behind their interface.
#include "runtime/pass.h"

#include <algorithm>
#include <limits>

namespace strata::runtime {

namespace {

bool contains(const std::vector<int>& list, int item) { return std::find(list.begin(), list.end(), item) != list.end(); }
std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

backend::Program* Pass::source_of(int tensor, std::size_t before) const {
  for (std::size_t s = before; s-- > 0;)
    if (contains(stages[s].exports, tensor)) return programs[s].get();
  return nullptr;
}

Result<void> Pass::run(const backend::Step& step, StatePool& pool, std::span<float> logits, std::span<float> hidden) {
  for (std::size_t s = 0; s < stages.size(); ++s) {
    for (int tensor : stages[s].imports) {
      const graph::TensorInfo& info = graph->tensors[size(tensor)];
      crossing_.resize(step.rows(info.rows) * info.width());
      if (auto read = source_of(tensor, s)->read(tensor, crossing_); !read) return read;
      if (auto written = programs[s]->write(tensor, crossing_); !written) return written;
    }
    if (auto ran = programs[s]->run(step, pool.store(size(stages[s].device))); !ran) return ran;
  }
  if (watch && watch->after_step) {
    const auto read = [&](int tensor, std::span<float> values) { return source_of(tensor, stages.size())->read(tensor, values); };
    if (auto seen = watch->after_step(step, read); !seen) return seen;
  }
  for (auto [tensor, values] : {std::pair(graph->logits, logits), std::pair(graph->hidden, hidden)}) {
    if (values.empty()) continue;
    const int storage = graph->info(tensor).storage;
    if (auto read = source_of(storage, stages.size())->read(storage, values); !read) return read;
  }
  const std::size_t vocabulary = graph->info(graph->logits).width();
  for (int token : blueprint->suppressed)
    for (std::size_t at = size(token); at < logits.size(); at += vocabulary) logits[at] = -std::numeric_limits<float>::infinity();
  return {};
}

std::uint64_t Pass::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& program : programs) sum += program->bytes();
  for (const auto& weight : weights) sum += weight->bytes();
  return sum;
}

std::vector<graph::Stage> without_logits(const graph::Graph& graph, std::vector<graph::Stage> stages) {
  std::vector<bool> needed(graph.tensors.size(), false);  // by storage
  auto need = [&](int tensor) {
    if (tensor >= 0) needed[size(graph.tensors[size(tensor)].storage)] = true;
  };
  need(graph.hidden.id);
  std::vector<bool> runs(graph.nodes.size(), false);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const graph::Node& node = graph.nodes[n];
    for (int out : node.out) runs[n] = runs[n] || (out >= 0 && needed[size(graph.tensors[size(out)].storage)]);
    if (runs[n])
      for (int in : node.in) need(in);
  }
  const int logits = graph.info(graph.logits).storage;
  for (graph::Stage& stage : stages) {
    std::erase_if(stage.nodes, [&](int node) { return !runs[size(node)]; });
    std::erase_if(stage.exports, [&](int tensor) { return tensor == logits || !needed[size(tensor)]; });
    std::erase_if(stage.imports, [&](int tensor) { return !needed[size(tensor)]; });
  }
  std::erase_if(stages, [](const graph::Stage& stage) { return stage.nodes.empty(); });
  return stages;
}

}  // namespace strata::runtime
