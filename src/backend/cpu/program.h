// Owns: what a compiled stage is (a list of calls over one block of memory) and how a team runs it.
// Knows no operation: calls are closures that the compiler made.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/state.h"
#include "backend/cpu/team.h"
#include "base/platform.h"
#include "graph/plan.h"

namespace strata::cpu {

/// Whose row of a step this is, and where it stands in its sequence.
struct RowPlace {
  int sequence;  ///< index into Step::sequences
  int position;
};

/// What calls see of a step while it runs.
struct StepView {
  const backend::Step& step;
  const State& state;
  int threads;
  std::byte* memory;
  std::byte* scratch;           ///< of all threads
  std::size_t scratch_stride;   ///< bytes from one thread's to the next one's
  const RowPlace* places;       ///< by token row
  int depth;                    ///< positions of the deepest sequence after this step
  float* partials;              ///< of attention, see ops_attention.cpp

  template <class T>
  T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(memory + offset);
  }
  float* floats(std::size_t offset) const { return at<float>(offset); }
  template <class T>
  T* scratch_of(Share share) const {
    return reinterpret_cast<T*>(scratch + static_cast<std::size_t>(share.thread) * scratch_stride);
  }
  std::size_t rows(graph::Rows kind) const { return step.rows(kind); }
  /// The token row that row `i` of a tensor stands for.
  std::size_t token_row(graph::Rows kind, std::size_t i) const {
    return kind == graph::Rows::tokens ? i : static_cast<std::size_t>(step.outputs[i]);
  }
};

/// Done by all threads, each its share.
struct Call {
  bool barrier;  ///< whether threads wait for one another before it
  int grain;     ///< parts for each thread that it is worth cutting into, so that threads can help one another out
  int group;     ///< of Compiled::groups that it is a part of; -1: of none
  std::function<void(const StepView&, Share)> run;
};

/// An attention layer as far as the size of its scratch goes; see ops_attention.cpp.
struct AttentionShape {
  graph::Rows rows;  ///< of the queries
  int heads, kv_heads, k_dim, v_dim;
  /// Floats of StepView::partials that a step needs.
  std::size_t partial_floats(std::size_t rows, int depth, int threads) const;
};

/// What the compiler hands to a program.
struct Compiled {
  std::vector<Call> calls;
  std::vector<std::vector<int>> groups;  ///< nodes that are computed together
  graph::Arena arena;
  std::size_t memory_bytes = 0;   ///< the arena and everything else that threads share
  std::size_t scratch_bytes = 0;  ///< per thread
  std::vector<std::unique_ptr<float[]>> vectors;  ///< decoded weights that calls point to
  std::vector<AttentionShape> attention;
  std::string embedding;           ///< name of the smallest table that token ids index, where the stage reads one
  std::uint64_t vocabulary = 0;    ///< rows of it
};

class Program final : public backend::Program {
 public:
  static Result<std::unique_ptr<Program>> make(const graph::Graph& graph, const graph::Stage& stage,
                                               const graph::Capacity& capacity, Compiled compiled, Team& team,
                                               std::mutex& team_mutex);

  Result<void> write(int tensor, std::span<const float> values) override;
  Result<void> run(const backend::Step& step, backend::StateStore& state) override;
  Result<void> read(int tensor, std::span<float> values) override;
  std::uint64_t bytes() const override;

 private:
  Program(const graph::Graph& graph, const graph::Stage& stage, const graph::Capacity& capacity, Compiled compiled,
          Team& team, std::mutex& team_mutex);

  Result<void> check(const backend::Step& step) const;
  Result<void> check_transfer(const std::vector<int>& allowed, int tensor, std::size_t count) const;
  /// Runs a part of call i.
  void call(std::size_t i, const StepView& view, Share share, bool timed);
  /// What each group took: the time of all threads, over their number.
  void add_times(backend::StepTimes& times) const;
  /// Fills `places_` and makes room for what depends on the depth; returns the depth.
  Result<int> prepare(const backend::Step& step, const State& state);

  const graph::Graph& graph_;
  const std::vector<int> imports_, exports_;
  const graph::Capacity capacity_;
  const Compiled compiled_;
  Team& team_;
  std::mutex& team_mutex_;
  platform::Pages memory_, scratch_;
  std::vector<std::size_t> phases_;  ///< where calls begin that are done at once, and the end
  std::vector<int> parts_;           ///< of each phase
  std::vector<RowPlace> places_;
  std::vector<float> partials_;
  std::vector<std::atomic<std::int64_t>> spent_;  ///< nanoseconds of all threads, by call, in the last timed run
};

}  // namespace strata::cpu
