// Owns: making and running scenarios. Knows devices through backend.h alone.
#include "backend/selftest_scenario.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "base/text.h"
#include "kernels/formats/list.h"
#include "kernels/formats/sample.h"

namespace strata::backend::selftest_detail {

namespace {

/// SplitMix64: the same numbers on every platform, which std's distributions are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// Box-Muller, cut at 4 so that no block's peak spoils its 8-bit scale.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return std::clamp(radius * std::cos(2.0 * std::numbers::pi * uniform()), -4.0, 4.0);
  }

 private:
  std::uint64_t state_;
};

}  // namespace

void fill_random(std::span<float> out, Fill fill, std::uint64_t seed, std::size_t width) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Random random(seed);
  for (std::size_t i = 0; i < out.size(); i++) {
    const double normal = random.normal();
    switch (fill) {
      case Fill::normal: out[i] = static_cast<float>(normal); break;
      case Fill::negative: out[i] = static_cast<float>(-std::fabs(normal)); break;
      case Fill::unit: out[i] = static_cast<float>(random.uniform()); break;
      case Fill::eight_bit:
        out[i] = i % 32 == 0 ? 127.0f : static_cast<float>(std::floor(255.0 * random.uniform()) - 127.0);
        break;
      case Fill::ties: out[i] = static_cast<float>(std::floor(2.0 * random.uniform())); break;
      case Fill::non_finite:
        out[i] = static_cast<float>(normal);
        if (i / width == 1 && i % 5 < 3) out[i] = i % 5 == 0 ? kNan : i % 5 == 1 ? kInfinity : -kInfinity;
        break;
    }
  }
}

std::vector<std::byte> random_weight(const graph::WeightInfo& info, Fill fill, std::uint64_t seed) {
  const formats::Format& format = *formats::find(info.type);
  const std::size_t bytes = row_bytes(info.type, info.ne[0]), rows = info.ne[1] * info.ne[2] * info.ne[3];
  std::vector<std::byte> out(bytes * rows);
  std::vector<float> row(info.ne[0]);
  Random random(seed);
  for (std::size_t r = 0; r < rows; r++) {
    const std::span<std::byte> to(out.data() + r * bytes, bytes);
    if (!format.encode) {
      formats::random_blocks(format, [&] { return random.bits(); }, to.data(), static_cast<std::int64_t>(row.size()));
      continue;
    }
    fill_random(row, fill, random.bits(), row.size());
    format.encode(row.data(), nullptr, to.data(), static_cast<std::int64_t>(row.size()));
  }
  return out;
}

graph::Tensor Scenario::input(int heads, int dim, Fill fill) {
  const std::string name = str("input.", inputs.size());
  const auto width = static_cast<std::uint64_t>(heads) * static_cast<std::uint64_t>(dim);
  const graph::Tensor x = graph.embed(graph.weight({name, TensorType::f32, {width, 1, 1, 1}}));
  weights.emplace_back();
  inputs.push_back(x.id);
  input_fill.resize(x.id + 1, Fill::normal);
  input_fill[x.id] = fill;
  return heads == 1 ? x : graph.heads(x, heads, dim);
}

graph::Weight Scenario::weight(const std::string& name, TensorType type, std::array<std::uint64_t, 4> ne, Fill fill) {
  const graph::WeightInfo info{name, type, ne};
  weights.push_back(random_weight(info, fill, 1000 + weights.size()));
  return graph.weight(info);
}

void Scenario::one_step(int tokens, int of_sequences) {
  sequences = of_sequences;
  StepPlan step;
  for (int s = 0; s < of_sequences; s++) step.sequences.push_back({s, tokens});
  steps.push_back(step);
}

namespace {

bool is_input(const Scenario& s, const graph::Node& node) {
  return std::ranges::find(s.inputs, node.out[0]) != s.inputs.end();
}

std::vector<graph::Stage> stages_of(const Scenario& s) {
  if (s.two_stages) {
    const int devices[] = {0, 1};
    return graph::plan_stages(s.graph, devices);
  }
  graph::Stage stage;
  stage.imports = s.inputs;
  stage.exports = s.outputs;
  for (std::size_t i = 0; i < s.graph.nodes.size(); i++)
    if (!is_input(s, s.graph.nodes[i])) stage.nodes.push_back(static_cast<int>(i));
  return {stage};
}

StateLayout layout_of(const Scenario& s, const graph::Stage& stage) {
  StateLayout layout{s.graph.kv_layers, s.graph.recurrent_states, s.kv_type, s.page_tokens};
  std::vector<bool> keeps_kv(layout.kv.size(), false), keeps_state(layout.recurrent.size(), false);
  for (int id : stage.nodes) {
    const graph::Params& params = s.graph.nodes[id].params;
    if (auto* attention = std::get_if<graph::AttentionParams>(&params)) keeps_kv[attention->kv] = true;
    if (auto* conv = std::get_if<graph::ConvParams>(&params)) keeps_state[conv->state] = true;
    if (auto* delta = std::get_if<graph::DeltaParams>(&params)) keeps_state[delta->state] = true;
  }
  for (std::size_t i = 0; i < keeps_kv.size(); i++)
    if (!keeps_kv[i]) layout.kv[i].kv_heads = 0;
  for (std::size_t i = 0; i < keeps_state.size(); i++)
    if (!keeps_state[i]) layout.recurrent[i].floats = 0;
  return layout;
}

graph::Capacity capacity_of(const Scenario& s) {
  graph::Capacity capacity;
  for (const StepPlan& step : s.steps) {
    int tokens = 0;
    for (const SequencePlan& plan : step.sequences) tokens += plan.tokens;
    capacity.tokens = std::max(capacity.tokens, tokens + 3);  // not exactly what a step needs
  }
  capacity.outputs = capacity.tokens;
  return capacity;
}

/// Weight bytes 32-byte aligned, as a file's are, with NaNs behind them.
WeightSource source_of(const std::vector<std::byte>& bytes, bool mapped) {
  auto memory = std::make_shared<std::vector<std::byte>>(bytes.size() + 128, std::byte{0xff});
  void* start = memory->data();
  std::size_t space = memory->size();
  std::byte* at = static_cast<std::byte*>(std::align(32, bytes.size(), start, space));
  std::memcpy(at, bytes.data(), bytes.size());
  WeightSource source;
  source.bytes = bytes.size();
  source.owner = memory;
  if (mapped) source.mapped = {at, bytes.size()};
  source.read = [at, size = bytes.size()](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
    if (offset > size || out.size() > size - offset)
      return fail(ErrorCode::io, "read of ", out.size(), " bytes at ", offset, " of ", size);
    std::memcpy(out.data(), at + offset, out.size());
    return {};
  };
  return source;
}

/// The state of one sequence, as a runtime would keep it.
struct Timeline {
  int position = 0;
  std::vector<int> pages, near_pages;
};

/// One device at work on one scenario.
class Runner {
 public:
  Runner(Device& device, const Scenario& scenario) : device_(device), s_(scenario), stages_(stages_of(scenario)) {}

  Result<Outcome> run() {
    if (s_.graph.error()) return *s_.graph.error();
    if (auto ok = prepare(); !ok) return ok.error();
    for (std::size_t i = 0; i < s_.steps.size(); i++)
      if (auto ok = run_step(static_cast<int>(i)); !ok) return ok.error();
    return std::move(outcome_);
  }

 private:
  Result<void> prepare() {
    std::vector<const Weight*> pointers(s_.weights.size(), nullptr);
    for (std::size_t i = 0; i < s_.weights.size(); i++) {
      if (s_.weights[i].empty()) continue;
      auto weight = device_.load(s_.graph.weights[i], source_of(s_.weights[i], s_.mapped));
      if (!weight) return weight.error();
      weights_.push_back(std::move(*weight));
      pointers[i] = weights_.back().get();
    }
    for (const graph::Stage& stage : stages_) {
      auto state = device_.make_state(layout_of(s_, stage));
      if (!state) return state.error();
      states_.push_back(std::move(*state));
      auto program = device_.compile(s_.graph, stage, pointers, capacity_of(s_));
      if (!program) return program.error();
      programs_.push_back(std::move(*program));
    }
    for (int i = 0; i < s_.sequences; i++) timelines_.push_back({s_.start, {}, {}});
    for (auto& state : states_) {
      if (auto ok = state->reserve(Piece::slot, s_.sequences); !ok) return ok;
      for (int i = 0; i < s_.sequences; i++)
        if (auto ok = state->clear_slot(slot(i)); !ok) return ok;
    }
    return {};
  }

  int slot(int sequence) const { return s_.sequences - 1 - sequence; }

  /// Pages are taken in the order in which sequences come to need them, so that theirs interleave. Those that fell out
  /// of the window go to whoever needs one next.
  Result<void> extend(Timeline& timeline, int positions) {
    int window = 0;
    bool far = false;
    for (const graph::KvLayer& layer : s_.graph.kv_layers) {
      window = std::max(window, layer.window);
      far = far || layer.window == 0;
    }
    const int seen = window > 0 ? std::max(0, timeline.position - window + 1) / s_.page_tokens : 0;
    for (int i = 0; i < std::min(seen, static_cast<int>(timeline.near_pages.size())); i++)
      if (int& page = timeline.near_pages[i]; page >= 0) free_near_pages_.push_back(std::exchange(page, -1));
    while (far && static_cast<int>(timeline.pages.size()) * s_.page_tokens < positions) timeline.pages.push_back(next_page_++);
    while (window > 0 && static_cast<int>(timeline.near_pages.size()) * s_.page_tokens < positions)
      if (static_cast<int>(timeline.near_pages.size()) < seen)
        timeline.near_pages.push_back(-1);
      else
        timeline.near_pages.push_back(take_near_page());
    for (auto& state : states_) {
      if (auto ok = state->reserve(Piece::page, next_page_); !ok) return ok;
      if (auto ok = state->reserve(Piece::near_page, next_near_page_); !ok) return ok;
    }
    return {};
  }

  int take_near_page() {
    if (free_near_pages_.empty()) return next_near_page_++;
    const int page = free_near_pages_.back();
    free_near_pages_.pop_back();
    return page;
  }

  Result<void> fork(int from, int to) {
    for (int page : timelines_[to].near_pages)
      if (page >= 0) free_near_pages_.push_back(page);
    timelines_[to] = {timelines_[from].position, {}, {}};
    if (auto ok = extend(timelines_[to], timelines_[from].position); !ok) return ok;
    for (auto& state : states_) {
      for (std::size_t i = 0; i < timelines_[to].pages.size(); i++)
        if (auto ok = state->copy(Piece::page, timelines_[from].pages[i], timelines_[to].pages[i]); !ok) return ok;
      for (std::size_t i = 0; i < timelines_[to].near_pages.size(); i++)
        if (timelines_[to].near_pages[i] >= 0)
          if (auto ok = state->copy(Piece::near_page, timelines_[from].near_pages[i], timelines_[to].near_pages[i]); !ok) return ok;
      if (auto ok = state->copy(Piece::slot, slot(from), slot(to)); !ok) return ok;
    }
    return {};
  }

  Result<void> run_step(int index) {
    const StepPlan& plan = s_.steps[index];
    if (plan.fork_from >= 0)
      if (auto ok = fork(plan.fork_from, plan.fork_to); !ok) return ok;
    std::vector<std::int32_t> tokens, positions, outputs;
    std::vector<SequenceStep> sequences;
    for (const SequencePlan& p : plan.sequences) {
      Timeline& timeline = timelines_[p.sequence];
      if (auto ok = extend(timeline, timeline.position + p.tokens); !ok) return ok;
      sequences.push_back(
          {static_cast<int>(tokens.size()), p.tokens, timeline.position, timeline.pages, timeline.near_pages, slot(p.sequence), s_.context});
      for (int t = 0; t < p.tokens; t++) {
        // A token is a function of its sequence and position: how a sequence is cut into steps does not change it.
        tokens.push_back(static_cast<std::int32_t>(Random(timeline.position * 64 + p.sequence).bits() % vocabulary()));
        positions.push_back(timeline.position++);
      }
    }
    for (std::int32_t row = 0; plan.outputs && row < static_cast<std::int32_t>(tokens.size()); row++)
      if (plan.all_outputs || row % 3 != 1) outputs.push_back(row);
    return run_stages(index, {tokens, positions, outputs, sequences});
  }

  std::uint64_t vocabulary() const {
    for (const graph::Node& node : s_.graph.nodes)
      if (node.op == graph::Op::embed && !is_input(s_, node)) return s_.graph.weights[node.weight[0]].ne[1];
    return 1;
  }

  Result<void> run_stages(int index, const Step& step) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::vector<float>> crossing(s_.graph.tensors.size());
    for (int tensor : s_.inputs) {
      const std::size_t width = s_.graph.tensors[tensor].width();
      crossing[tensor].resize(step.tokens.size() * width);
      fill_random(crossing[tensor], s_.input_fill[tensor], tensor * 4096 + index, width);
    }
    for (std::size_t i = 0; i < stages_.size(); i++) {
      for (int tensor : stages_[i].imports)
        if (auto ok = programs_[i]->write(tensor, crossing[tensor]); !ok) return ok;
      if (auto ok = programs_[i]->run(step, *states_[i]); !ok) return ok;
      for (int tensor : stages_[i].exports)
        if (auto ok = read(*programs_[i], step, tensor, crossing[tensor]); !ok) return ok;
    }
    outcome_.microseconds +=
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    for (int tensor : s_.outputs) outcome_.outputs.push_back({tensor, index, std::move(crossing[tensor])});
    return {};
  }

  /// Reads into memory that is poisoned, and guarded behind.
  Result<void> read(Program& program, const Step& step, int tensor, std::vector<float>& out) {
    constexpr float kGuard = -12345.0f;
    constexpr std::size_t kGuards = 16;
    const graph::TensorInfo& info = s_.graph.tensors[tensor];
    const std::size_t count = step.rows(info.rows) * info.width();
    out.assign(count, std::numeric_limits<float>::quiet_NaN());
    out.insert(out.end(), kGuards, kGuard);
    if (auto ok = program.read(tensor, std::span(out).first(count)); !ok) return ok;
    if (std::any_of(out.begin() + static_cast<std::ptrdiff_t>(count), out.end(), [](float g) { return g != kGuard; }))
      return fail(ErrorCode::device, "read wrote behind the ", count, " floats asked for");
    out.resize(count);
    return {};
  }

  Device& device_;
  const Scenario& s_;
  std::vector<graph::Stage> stages_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<std::unique_ptr<StateStore>> states_;  // by stage
  std::vector<std::unique_ptr<Program>> programs_;   // by stage
  std::vector<Timeline> timelines_;
  int next_page_ = 0, next_near_page_ = 0;
  std::vector<int> free_near_pages_;
  Outcome outcome_;
};

}  // namespace

Result<void> supported(const Device& device, const Scenario& scenario) {
  for (const graph::Node& node : scenario.graph.nodes)
    if (!is_input(scenario, node))
      if (auto ok = device.supports(scenario.graph, node); !ok) return ok;
  return {};
}

Result<Outcome> execute(Device& device, const Scenario& scenario) { return Runner(device, scenario).run(); }

}  // namespace strata::backend::selftest_detail
