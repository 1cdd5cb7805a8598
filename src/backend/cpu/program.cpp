// Owns: running a compiled stage: the checks before it, the memory under it, the loop over its calls.
// Knows no operation.
#include "backend/cpu/program.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "base/text.h"

namespace strata::cpu {

namespace {

/// Scratch of threads starts on lines, and on pages of their own, so that threads do not share any.
constexpr std::size_t kScratchAlignment = 4096;
/// Memory of at least this size is worth huge pages.
constexpr std::size_t kHuge = std::size_t{2} << 20;

std::size_t stride(std::size_t bytes) { return (bytes + kScratchAlignment - 1) / kScratchAlignment * kScratchAlignment; }

}  // namespace

Program::Program(const graph::Graph& graph, const graph::Stage& stage, const graph::Capacity& capacity,
                 Compiled compiled, Team& team, std::mutex& team_mutex)
    : graph_(graph),
      imports_(stage.imports),
      exports_(stage.exports),
      capacity_(capacity),
      compiled_(std::move(compiled)),
      team_(team),
      team_mutex_(team_mutex),
      spent_(compiled_.calls.size()) {
  for (std::size_t i = 0; i < compiled_.calls.size(); ++i) {
    if (i == 0 || compiled_.calls[i].barrier) {
      phases_.push_back(i);
      parts_.push_back(1);
    }
    parts_.back() = std::max(parts_.back(), team.parts(compiled_.calls[i].grain));
  }
  phases_.push_back(compiled_.calls.size());
}

Result<std::unique_ptr<Program>> Program::make(const graph::Graph& graph, const graph::Stage& stage,
                                               const graph::Capacity& capacity, Compiled compiled, Team& team,
                                               std::mutex& team_mutex) {
  std::unique_ptr<Program> program(new Program(graph, stage, capacity, std::move(compiled), team, team_mutex));
  const Compiled& made = program->compiled_;
  auto memory = platform::Pages::allocate(made.memory_bytes, made.memory_bytes >= kHuge);
  if (!memory) return fail(memory.error().code, "cpu: activations of a step of ", capacity.tokens, " tokens: ",
                           memory.error().message);
  auto scratch = platform::Pages::allocate(stride(made.scratch_bytes) * static_cast<std::size_t>(team.size()), false);
  if (!scratch) return fail(scratch.error().code, "cpu: scratch of ", team.size(), " threads: ", scratch.error().message);
  program->memory_ = *std::move(memory);
  program->scratch_ = *std::move(scratch);
  try {
    program->places_.resize(capacity.rows(graph::Rows::tokens));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "cpu: no memory for a step of ", capacity.tokens, " tokens");
  }
  return program;
}

Result<void> Program::check_transfer(const std::vector<int>& allowed, int tensor, std::size_t count) const {
  if (tensor < 0 || tensor >= static_cast<int>(graph_.tensors.size()) ||
      std::find(allowed.begin(), allowed.end(), graph_.info({tensor}).storage) == allowed.end())
    return fail(ErrorCode::invalid_argument, "cpu: tensor ", tensor, " does not cross the border of this program");
  const graph::TensorInfo& info = graph_.info({tensor});
  const std::size_t rows = capacity_.rows(info.rows);
  if (count % info.width() != 0 || count / info.width() > rows)
    return fail(ErrorCode::invalid_argument, "cpu: ", count, " floats are no rows of tensor ", tensor, " (at most ", rows,
                " of ", info.width(), ")");
  return {};
}

Result<void> Program::write(int tensor, std::span<const float> values) {
  if (auto fine = check_transfer(imports_, tensor, values.size()); !fine) return fine;
  if (!values.empty())
    std::memcpy(memory_.data() + compiled_.arena.offset[static_cast<std::size_t>(tensor)], values.data(),
                values.size_bytes());
  return {};
}

Result<void> Program::read(int tensor, std::span<float> values) {
  if (auto fine = check_transfer(exports_, tensor, values.size()); !fine) return fine;
  if (!values.empty())
    std::memcpy(values.data(), memory_.data() + compiled_.arena.offset[static_cast<std::size_t>(tensor)],
                values.size_bytes());
  return {};
}

Result<void> Program::check(const backend::Step& step) const {
  if (step.tokens.size() > capacity_.rows(graph::Rows::tokens) ||
      step.outputs.size() > capacity_.rows(graph::Rows::outputs))
    return fail(ErrorCode::invalid_argument, "cpu: a step of ", step.tokens.size(), " tokens and ", step.outputs.size(),
                " outputs where the program was compiled for ", capacity_.tokens, " and ", capacity_.outputs);
  if (!compiled_.embedding.empty())
    for (std::int32_t token : step.tokens)
      if (token < 0 || static_cast<std::uint64_t>(token) >= compiled_.vocabulary)
        return fail(ErrorCode::invalid_argument, compiled_.embedding, ": token ", token, " is outside the vocabulary of ",
                    compiled_.vocabulary);
  return {};
}

Result<int> Program::prepare(const backend::Step& step, [[maybe_unused]] const State& state) {
  assert(step.positions.size() == step.tokens.size());
  [[maybe_unused]] int next = 0;
  int depth = 0;
  for (std::size_t s = 0; s < step.sequences.size(); ++s) {
    const backend::SequenceStep& sequence = step.sequences[s];
    assert(sequence.row == next && sequence.count >= 0 && sequence.position >= 0);
    for (int i = 0; i < sequence.count; ++i)
      places_[static_cast<std::size_t>(sequence.row + i)] = {static_cast<int>(s), sequence.position + i};
    next += sequence.count;
    depth = std::max(depth, sequence.position + sequence.count);
    assert(compiled_.attention.empty() ||
           std::max(sequence.pages.size(), sequence.near_pages.size()) * static_cast<std::size_t>(state.page_tokens()) >=
               static_cast<std::size_t>(sequence.position + sequence.count));
  }
  assert(next == static_cast<int>(step.tokens.size()));
  std::size_t floats = 0;
  for (const AttentionShape& shape : compiled_.attention)
    floats = std::max(floats, shape.partial_floats(step.rows(shape.rows), depth, team_.size()));
  try {
    // Doubled, so that a growing sequence seldom comes here.
    if (floats > partials_.size()) partials_.resize(std::max(floats, 2 * partials_.size()));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "cpu: no memory for attention over ", depth, " positions");
  }
  return depth;
}

Result<void> Program::run(const backend::Step& step, backend::StateStore& store) {
  auto* state = dynamic_cast<State*>(&store);
  if (!state) return fail(ErrorCode::invalid_argument, "cpu: the state belongs to another device");
  if (auto fine = check(step); !fine) return fine;
  auto depth = prepare(step, *state);
  if (!depth) return depth.error();

  std::lock_guard lock(team_mutex_);
  if (auto started = team_.start(); !started) return started;
  StepView view{step,           *state, team_.size(), memory_.data(), scratch_.data(), stride(compiled_.scratch_bytes),
                places_.data(), *depth, partials_.data()};
  if (step.times)
    for (std::atomic<std::int64_t>& spent : spent_) spent = 0;
  struct Context {
    Program& program;
    const StepView& view;
    bool timed;
  } context{*this, view, step.times != nullptr};
  team_.run(
      parts_,
      [](void* pointer, std::size_t phase, Share share) {
        const auto& job = *static_cast<const Context*>(pointer);
        for (std::size_t i = job.program.phases_[phase]; i < job.program.phases_[phase + 1]; ++i)
          job.program.call(i, job.view, share, job.timed);
      },
      &context);
  if (step.times) add_times(*step.times);
  return {};
}

void Program::call(std::size_t i, const StepView& view, Share share, bool timed) {
  const Call& call = compiled_.calls[i];
  if (!timed) return call.run(view, share);
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  call.run(view, share);
  spent_[i] += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

void Program::add_times(backend::StepTimes& times) const {
  for (std::size_t i = 0; i < compiled_.calls.size(); ++i) {
    const int group = compiled_.calls[i].group;
    if (group < 0) continue;
    const double seconds = 1e-9 * static_cast<double>(spent_[i]) / team_.size();
    const bool goes_on = i > 0 && compiled_.calls[i - 1].group == group;
    if (goes_on) times.parts.back().seconds += seconds;
    else times.parts.push_back({compiled_.groups[static_cast<std::size_t>(group)], seconds});
  }
}

std::uint64_t Program::bytes() const {
  return memory_.size() + scratch_.size() + partials_.size() * sizeof(float);
}

}  // namespace strata::cpu
