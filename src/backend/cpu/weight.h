// Owns: weights in the host's memory, and whether there is a kernel for what the graph does with them.
// Knows types and shapes; computes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "backend/cpu/team.h"
#include "base/platform.h"
#include "kernels/cpu/kernels.h"

namespace strata::cpu {

/// Bytes of a weight; an error when its shape overflows or its rows are no whole blocks.
Result<std::uint64_t> weight_bytes(const graph::WeightInfo& info);

/// Whether the instruction set can do what the node does with its weights.
Result<void> supports(const kernels::IsaKernels& isa, const graph::Graph& graph, const graph::Node& node);

/// Borrowed from the mapped file, or a copy; in the source's room its rows lie in panels where kernels take them so.
class HostWeight final : public backend::Weight {
 public:
  /// The team takes in what is copied, each thread the rows that it multiplies first. It may not be running a job.
  static Result<std::unique_ptr<HostWeight>> make(const kernels::IsaKernels& isa, const graph::WeightInfo& info,
                                                  const backend::WeightSource& source, Team& team);
  std::uint64_t bytes() const override { return copy_.size(); }
  const std::byte* data() const { return data_; }
  bool in_panels() const { return panel_.rows > 0; }
  std::size_t row_bytes() const { return stride_; }
  /// Row r of all, where it lies or, taken out of its panel, in `scratch`, which has room for a row.
  const std::byte* row(std::size_t r, std::byte* scratch) const;

 private:
  /// Rows of each matrix that lie in panels.
  std::size_t panel_rows() const { return rows_ - rows_ % static_cast<std::size_t>(panel_.rows); }
  struct Filling;
  Result<void> fill(const graph::WeightInfo& info, const backend::WeightSource& source, std::byte* to, Team& team);
  Result<void> fill_rows(const Filling& filling, std::size_t first, std::size_t end) const;

  kernels::PanelFormat panel_;
  std::size_t rows_ = 0, stride_ = 0;  ///< of a matrix
  int k_ = 0;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  platform::Pages copy_;
};

}  // namespace strata::cpu
