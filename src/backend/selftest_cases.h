// Owns: the list of what the self-test computes, and how far from the reference each operation may be.
#pragma once

#include <vector>

#include "backend/selftest_scenario.h"

namespace strata::backend::selftest_detail {

std::vector<Scenario> all_scenarios();

/// A graph of every operation over two layers, with float32 weights: attention, a gated recurrence, dense and expert
/// feed-forwards. `outputs` are its logits.
Scenario block_scenario(bool two_stages, KvType kv_type);

}  // namespace strata::backend::selftest_detail
