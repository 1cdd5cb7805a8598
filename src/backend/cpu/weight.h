// Owns: weights in the host's memory, and whether there is a kernel for what the graph does with them.
// Knows types and shapes; computes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "base/platform.h"
#include "kernels/cpu/kernels.h"

namespace strata::cpu {

/// Bytes of a weight; an error when its shape overflows or its rows are no whole blocks.
Result<std::uint64_t> weight_bytes(const graph::WeightInfo& info);

/// Whether the instruction set can do what the node does with its weights.
Result<void> supports(const kernels::IsaKernels& isa, const graph::Graph& graph, const graph::Node& node);

/// Borrowed from the mapped file, or a copy.
class HostWeight final : public backend::Weight {
 public:
  static Result<std::unique_ptr<HostWeight>> make(const graph::WeightInfo& info, const backend::WeightSource& source);
  std::uint64_t bytes() const override { return copy_.size(); }
  const std::byte* data() const { return data_; }

 private:
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  platform::Pages copy_;
};

}  // namespace strata::cpu
