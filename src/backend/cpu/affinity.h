// Owns: which processors each thread of the cpu device keeps to. Starts and moves none.
#pragma once

#include <span>

#include "backend/backend.h"
#include "backend/cpu/team.h"
#include "base/platform.h"

namespace strata::cpu {

/// Threads are spread evenly over the cores in their order, so that every node and every cache has its share of them.
/// `automatic` keeps each to its core's node where the threads are more than one node's cores, for then their weights lie
/// on several nodes (see deal.h); processes side by side still share the cores of a node.
Places choose_places(backend::Affinity affinity, int threads, std::span<const platform::Core> cores);

}  // namespace strata::cpu
