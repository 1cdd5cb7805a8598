// Owns: small random computations that can be replayed on any device: a graph, its weights, and steps over sequences
// with scattered pages and slots. Knows devices through backend.h alone, and no tolerance.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace strata::backend::selftest_detail {

/// How random values are distributed.
enum class Fill : std::uint8_t {
  normal,      ///< standard normal, cut at 4
  negative,    ///< minus the absolute value of that
  unit,        ///< uniform in [0, 1)
  eight_bit,   ///< integers up to 127, which is reached in every 32 elements: the scale peak / 127 is 1
  ties,        ///< small integers, so that many are equal
  non_finite,  ///< normal, with NaN, infinity and -infinity here and there in row 1
};

void fill_random(std::span<float> out, Fill fill, std::uint64_t seed, std::size_t width);

/// Random blocks of a format; by its encoder where it has one, else random bytes whose values are of moderate size.
std::vector<std::byte> random_weight(const graph::WeightInfo& info, Fill fill, std::uint64_t seed);

struct SequencePlan {
  int sequence;
  int tokens;
};
struct StepPlan {
  std::vector<SequencePlan> sequences;
  bool outputs = true;  ///< want the logits of two rows in three, else of none
  int fork_from = -1;   ///< before the step, sequence `fork_to` becomes a copy of this one
  int fork_to = -1;
  bool all_outputs = false;  ///< of every row instead
};

struct Scenario {
  std::string op, format, shape;
  double bound = 0;  ///< of the NMSE
  graph::Graph graph;
  std::vector<std::vector<std::byte>> weights;  ///< by weight id; empty for the tables of inputs
  std::vector<Fill> input_fill;                 ///< by tensor id, for inputs
  std::vector<int> inputs, outputs;             ///< storage tensors that are written and read
  std::vector<StepPlan> steps;
  int sequences = 1;
  int start = 0;  ///< position at which every sequence begins
  int context = 0;  ///< that every sequence is made for
  int page_tokens = 64;
  KvType kv_type = KvType::f16;
  bool mapped = true;       ///< weights are offered as mapped memory, else through their reader
  bool two_stages = false;  ///< cut between the graph's two layers, as for two devices

  /// An activation that the runner writes: [tokens, heads, dim].
  graph::Tensor input(int heads, int dim, Fill fill = Fill::normal);
  graph::Weight weight(const std::string& name, TensorType type, std::array<std::uint64_t, 4> ne,
                       Fill fill = Fill::normal);
  void output(graph::Tensor tensor) { outputs.push_back(graph.info(tensor).storage); }
  /// One step of `tokens` rows in each of `sequences` sequences.
  void one_step(int tokens, int of_sequences = 1);
};

/// What one output was in one step.
struct Output {
  int tensor, step;
  std::vector<float> values;  ///< int32 tensors cross as their bits
};
struct Outcome {
  std::vector<Output> outputs;
  double microseconds = 0;
};

/// Whether the device supports every node that it would run.
Result<void> supported(const Device& device, const Scenario& scenario);
/// Loads, compiles and runs all steps.
Result<Outcome> execute(Device& device, const Scenario& scenario);

}  // namespace strata::backend::selftest_detail
