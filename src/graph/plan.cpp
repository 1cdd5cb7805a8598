// Owns: placement, crossings and liveness. Knows devices only as numbers.
#include "graph/plan.h"

#include <algorithm>
#include <map>
#include <set>

namespace strata::graph {

namespace {

int storage_of(const Graph& graph, int tensor) { return graph.tensors[static_cast<std::size_t>(tensor)].storage; }

int device_of(const Graph& graph, const Node& node, std::span<const int> device_of_layer) {
  if (device_of_layer.empty()) return 0;
  int last = std::min(graph.layers, static_cast<int>(device_of_layer.size())) - 1;
  return device_of_layer[static_cast<std::size_t>(std::clamp(node.layer, 0, std::max(last, 0)))];
}

std::size_t bytes_of(const TensorInfo& tensor, const Capacity& capacity) {
  std::size_t bytes = capacity.rows(tensor.rows) * tensor.width() * sizeof(float);
  return (bytes + Arena::kAlignment - 1) / Arena::kAlignment * Arena::kAlignment;
}

/// Bytes in use, kept as disjoint intervals; allocation takes the smallest gap that fits.
class FreeList {
 public:
  std::size_t take(std::size_t bytes) {
    auto best = gaps_.end();
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap)
      if (gap->second >= bytes && (best == gaps_.end() || gap->second < best->second)) best = gap;
    if (best == gaps_.end()) return grow(bytes);
    std::size_t at = best->first, rest = best->second - bytes;
    gaps_.erase(best);
    if (rest > 0) gaps_[at + bytes] = rest;
    return at;
  }

  void give(std::size_t at, std::size_t bytes) {
    if (bytes == 0) return;
    auto next = gaps_.lower_bound(at);
    if (next != gaps_.end() && next->first == at + bytes) {
      bytes += next->second;
      next = gaps_.erase(next);
    }
    if (next != gaps_.begin()) {
      auto previous = std::prev(next);
      if (previous->first + previous->second == at) {
        previous->second += bytes;
        return;
      }
    }
    gaps_[at] = bytes;
  }

  std::size_t high_water() const { return end_; }

 private:
  /// A gap that touches the end is extended rather than left behind.
  std::size_t grow(std::size_t bytes) {
    std::size_t at = end_;
    if (!gaps_.empty()) {
      auto last = std::prev(gaps_.end());
      if (last->first + last->second == end_) {
        at = last->first;
        gaps_.erase(last);
      }
    }
    end_ = at + bytes;
    return at;
  }

  std::map<std::size_t, std::size_t> gaps_;  // start -> length
  std::size_t end_ = 0;
};

}  // namespace

std::vector<Stage> plan_stages(const Graph& graph, std::span<const int> device_of_layer) {
  std::vector<Stage> stages;
  std::vector<int> stage_of(graph.tensors.size(), -1);  // by storage: the stage that writes it
  for (int id = 0; id < static_cast<int>(graph.nodes.size()); ++id) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    int device = device_of(graph, node, device_of_layer);
    if (stages.empty() || stages.back().device != device) stages.push_back({device, {}, {}, {}});
    stages.back().nodes.push_back(id);
    for (int out : node.out)
      if (out >= 0) stage_of[static_cast<std::size_t>(storage_of(graph, out))] = static_cast<int>(stages.size()) - 1;
  }
  std::vector<std::set<int>> imports(stages.size()), exports(stages.size());
  for (std::size_t s = 0; s < stages.size(); ++s)
    for (int id : stages[s].nodes)
      for (int in : graph.nodes[static_cast<std::size_t>(id)].in) {
        if (in < 0) continue;
        int storage = storage_of(graph, in), source = stage_of[static_cast<std::size_t>(storage)];
        if (source == static_cast<int>(s)) continue;
        imports[s].insert(storage);
        if (source >= 0) exports[static_cast<std::size_t>(source)].insert(storage);
      }
  for (Tensor result : {graph.logits, graph.hidden})
    if (result.id >= 0) {
      int storage = storage_of(graph, result.id);
      exports[static_cast<std::size_t>(stage_of[static_cast<std::size_t>(storage)])].insert(storage);
    }
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stages[s].imports.assign(imports[s].begin(), imports[s].end());
    stages[s].exports.assign(exports[s].begin(), exports[s].end());
  }
  return stages;
}

Arena plan_arena(const Graph& graph, const Stage& stage, const Capacity& capacity) {
  Arena arena;
  arena.offset.assign(graph.tensors.size(), Arena::npos);
  constexpr int kForever = -1;
  std::vector<int> last_use(graph.tensors.size(), 0);  // by storage: index of the stage's node that reads it last
  for (int i = 0; i < static_cast<int>(stage.nodes.size()); ++i)
    for (int in : graph.nodes[static_cast<std::size_t>(stage.nodes[static_cast<std::size_t>(i)])].in)
      if (in >= 0) last_use[static_cast<std::size_t>(storage_of(graph, in))] = i;
  for (int tensor : stage.exports) last_use[static_cast<std::size_t>(tensor)] = kForever;

  FreeList memory;
  auto place = [&](int tensor) {
    arena.offset[static_cast<std::size_t>(tensor)] = memory.take(bytes_of(graph.tensors[static_cast<std::size_t>(tensor)], capacity));
  };
  for (int tensor : stage.imports) place(tensor);
  std::vector<int> alive(stage.imports.begin(), stage.imports.end());
  for (int i = 0; i < static_cast<int>(stage.nodes.size()); ++i) {
    const Node& node = graph.nodes[static_cast<std::size_t>(stage.nodes[static_cast<std::size_t>(i)])];
    // Outputs first, then what this node was the last to read: an output never shares bytes with an input.
    for (int out : node.out)
      if (out >= 0) {
        place(out);
        alive.push_back(out);
        last_use[static_cast<std::size_t>(out)] = std::max(last_use[static_cast<std::size_t>(out)],
                                                           last_use[static_cast<std::size_t>(out)] == kForever ? kForever : i);
      }
    std::erase_if(alive, [&](int tensor) {
      if (last_use[static_cast<std::size_t>(tensor)] != i) return false;
      memory.give(arena.offset[static_cast<std::size_t>(tensor)], bytes_of(graph.tensors[static_cast<std::size_t>(tensor)], capacity));
      return true;
    });
  }
  for (std::size_t t = 0; t < graph.tensors.size(); ++t)
    arena.offset[t] = arena.offset[static_cast<std::size_t>(graph.tensors[t].storage)];
  arena.bytes = memory.high_water();
  return arena;
}

}  // namespace strata::graph
