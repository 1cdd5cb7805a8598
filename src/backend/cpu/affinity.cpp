// Owns: choosing the processors that threads keep to. Starts and moves none.
#include "backend/cpu/affinity.h"

#include <algorithm>
#include <map>

namespace strata::cpu {

Places choose_places(backend::Affinity affinity, int threads, std::span<const platform::Core> cores) {
  if (affinity == backend::Affinity::off) return {};
  std::map<int, std::vector<int>> processors;  // by node
  std::map<int, int> count;                    // of cores, by node
  int most = 0;
  for (const platform::Core& core : cores) {
    std::vector<int>& node = processors[core.node];
    node.insert(node.end(), core.processors.begin(), core.processors.end());
    most = std::max(most, ++count[core.node]);
  }
  const bool whole_cores = affinity == backend::Affinity::cores;
  if (!whole_cores && (processors.size() == 1 || threads <= most)) return {};
  Places places;
  for (std::size_t thread = 0; thread < static_cast<std::size_t>(threads); ++thread) {
    const platform::Core& core = cores[thread * cores.size() / static_cast<std::size_t>(threads)];
    places.push_back(whole_cores ? core.processors : processors[core.node]);
  }
  return places;
}

}  // namespace strata::cpu
