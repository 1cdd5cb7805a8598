// Owns: Session: one timeline of tokens, and stepping several of them together. Knows the engine; no text.
#include <algorithm>
#include <chrono>
#include <set>

#include "base/text.h"
#include "runtime/state.h"

namespace strata {

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Session::State::~State() {
  // The pool is shared with other threads' sessions.
  std::lock_guard lock(engine->mutex());
  sequence.reset();
}

void Session::State::shorten(int length) {
  tokens.resize(static_cast<std::size_t>(length));
  logits.clear();
  if (length == prompt_end) logits = prompt_logits;
  if (length >= prompt_end) return;
  prompt_end = 0;
  prompt_logits.clear();
}

void Session::State::learn_lead(std::size_t common, std::size_t given) {
  const int before = prompt_end - static_cast<int>(common);
  if (common < given && before > 0 && before <= kMaxLead) lead = before;
}

Result<Session> Session::create(const Model& model, const SessionOptions& options) {
  const auto& engine = model.state()->engine;
  constexpr int kDefaultContext = 4096, kMaxContext = 1 << 28;
  int trained = engine->blueprint().common.context_length;
  if (options.context < 0 || options.context > kMaxContext)
    return fail(ErrorCode::invalid_argument, "context: ", options.context, " is not between 1 and ", kMaxContext);
  if (options.snapshot_every < 0 || options.max_snapshots < 0)
    return fail(ErrorCode::invalid_argument, "snapshot_every and max_snapshots: negative");
  auto state = std::make_unique<State>(model);
  state->engine = engine;
  state->context = options.context > 0 ? options.context : std::min(trained, kDefaultContext);
  state->pass = engine->base_pass();
  state->sequence.emplace(engine->pool(), options.snapshot_every, options.max_snapshots);
  return Session(std::move(state));
}

const Model& Session::model() const { return state_->model; }
std::span<const Token> Session::tokens() const { return state_->tokens; }
int Session::context() const { return state_->context; }
std::uint64_t Session::memory() const { return state_->sequence->bytes(); }

MemoryPlan Session::memory_plan() const {
  const runtime::StatePool& pool = state_->engine->pool();
  MemoryPlan plan;
  plan.weights = state_->engine->weight_bytes();
  plan.activations = state_->engine->activation_bytes();
  const auto peak = state_->sequence->peak(state_->context, state_->pass->capacity.tokens);
  plan.cache = peak.cache;
  plan.states = pool.piece_bytes(backend::Piece::slot);
  plan.snapshots = peak.snapshots;
  return plan;
}

std::span<const float> Session::logits() const { return state_->logits; }

namespace {

Result<void> check_tokens(std::span<const Token> tokens, int vocabulary) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary)
      return fail(ErrorCode::invalid_argument, "token ", i, ": id ", tokens[i], " is not between 0 and ", vocabulary - 1);
  return {};
}

/// The part of a piece of work that goes into the step being built.
struct Share {
  std::size_t work;
  int count;
  std::size_t first_output;  ///< its first row among the step's outputs
  int outputs;
};

}  // namespace

/// Builds and runs steps until all work is done; see strata::evaluate.
class Stepper {
 public:
  Stepper(std::span<const Work> work, std::span<Session::State* const> states, std::span<runtime::Pass* const> passes)
      : work_(work), states_(states), passes_(passes), engine_(*states[0]->engine), done_(work.size(), 0) {}

  Result<void> run() {
    for (;;) {
      std::vector<Share> shares;
      {
        std::lock_guard lock(engine_.mutex());
        auto built = build(shares);
        if (!built) return built;
        if (shares.empty()) return {};
        if (auto ran = step(shares); !ran) return ran;
      }
      deliver(shares);
    }
  }

 private:
  bool computes_logits(std::size_t w) const { return passes_[w] == states_[w]->pass.get(); }
  int left(std::size_t w) const { return static_cast<int>(work_[w].tokens.size()) - done_[w]; }

  bool wants_all(std::size_t w) const { return work_[w].on_logits || work_[w].on_hidden; }

  /// Shares the step's room among all work that is left and takes the same pass, in order; sequences keep contiguous rows.
  Result<void> build(std::vector<Share>& shares) {
    tokens_.clear();
    positions_.clear();
    outputs_.clear();
    pass_ = nullptr;
    int room = 0, output_room = 0;
    for (std::size_t w = 0; w < work_.size(); ++w) {
      if (left(w) == 0 || (pass_ && passes_[w] != pass_)) continue;
      if (!pass_) {
        pass_ = passes_[w];
        room = pass_->capacity.tokens;
        output_room = pass_->capacity.outputs;
      }
      runtime::Sequence& sequence = *states_[w]->sequence;
      int count = sequence.step_limit(std::min(left(w), room));
      if (wants_all(w)) count = std::min(count, output_room);
      bool last = count == left(w);
      if (count == 0 || (last && output_room == 0)) break;
      int outputs = wants_all(w) ? count : (last ? 1 : 0);
      if (auto prepared = sequence.prepare(count); !prepared) return prepared;
      shares.push_back({w, count, outputs_.size(), outputs});
      for (int i = 0; i < count; ++i) {
        if (i >= count - outputs) outputs_.push_back(static_cast<std::int32_t>(tokens_.size()));
        tokens_.push_back(work_[w].tokens[static_cast<std::size_t>(done_[w] + i)]);
        positions_.push_back(sequence.length() + i);
      }
      room -= count;
      output_room -= outputs;
    }
    return {};
  }

  Result<void> step(std::span<const Share> shares) {
    std::vector<backend::SequenceStep> sequences;
    int row = 0;
    for (const Share& share : shares) {
      const Session::State& state = *states_[share.work];
      const runtime::Sequence& sequence = *state.sequence;
      sequences.push_back({row, share.count, sequence.length(), sequence.pages(), sequence.near_pages(),
                           std::max(sequence.slot(), 0), state.context});
      row += share.count;
    }
    bool logits = false, hidden = false;
    for (const Share& share : shares) {
      logits = logits || computes_logits(share.work);
      hidden = hidden || work_[share.work].on_hidden;
    }
    logits_.resize(logits ? outputs_.size() * static_cast<std::size_t>(engine_.vocabulary()) : 0);
    hidden_.resize(hidden ? outputs_.size() * static_cast<std::size_t>(engine_.embedding()) : 0);
    auto ran = run_timed({tokens_, positions_, outputs_, sequences}, shares);
    for (const Share& share : shares) {
      Session::State& state = *states_[share.work];
      if (!ran) {
        auto back = state.sequence->recover();
        state.shorten(back ? *back : 0);
        continue;
      }
      const Token* first = work_[share.work].tokens.data() + done_[share.work];
      state.tokens.insert(state.tokens.end(), first, first + share.count);
      state.logits.clear();
      if (share.outputs > 0 && computes_logits(share.work)) {
        auto vocabulary = static_cast<std::ptrdiff_t>(engine_.vocabulary());
        auto end = logits_.begin() + static_cast<std::ptrdiff_t>(share.first_output + share.outputs) * vocabulary;
        state.logits.assign(end - vocabulary, end);
      }
      done_[share.work] += share.count;
      if (auto advanced = state.sequence->advance(share.count); !advanced) return advanced;
    }
    return ran;
  }

  Result<void> run_timed(backend::Step step, std::span<const Share> shares) {
    const bool timed = std::any_of(shares.begin(), shares.end(), [&](const Share& s) { return states_[s.work]->profiler.has_value(); });
    if (!timed) return pass_->run(step, engine_.pool(), logits_, hidden_);
    using Clock = std::chrono::steady_clock;
    backend::StepTimes times;
    step.times = &times;
    const auto start = Clock::now();
    auto ran = pass_->run(step, engine_.pool(), logits_, hidden_);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (const Share& share : shares)
      if (auto& profiler = states_[share.work]->profiler; profiler && ran) profiler->add(*pass_->graph, pass_->stages, step, times, seconds);
    return ran;
  }

  /// Outside the lock, so that a callback may use other sessions.
  void deliver(std::span<const Share> shares) const {
    const auto vocabulary = static_cast<std::size_t>(engine_.vocabulary()), width = static_cast<std::size_t>(engine_.embedding());
    for (const Share& share : shares) {
      const Work& work = work_[share.work];
      if (!wants_all(share.work)) continue;
      for (std::size_t output = share.first_output; output < share.first_output + static_cast<std::size_t>(share.outputs); ++output) {
        const int position = positions_[static_cast<std::size_t>(outputs_[output])];
        if (work.on_logits) work.on_logits(position, std::span(logits_).subspan(output * vocabulary, vocabulary));
        if (work.on_hidden) work.on_hidden(position, std::span(hidden_).subspan(output * width, width));
      }
    }
  }

  std::span<const Work> work_;
  std::span<Session::State* const> states_;
  std::span<runtime::Pass* const> passes_;  ///< by work
  runtime::Engine& engine_;
  runtime::Pass* pass_ = nullptr;  ///< of the step being built
  std::vector<int> done_;  ///< tokens evaluated, by work
  std::vector<std::int32_t> tokens_, positions_, outputs_;
  std::vector<float> logits_, hidden_;
};

Result<void> evaluate(std::span<const Work> work) {
  std::vector<Session::State*> states;
  std::vector<runtime::Pass*> passes;
  std::set<const Session::State*> seen;
  for (const Work& item : work) {
    if (!item.session || !item.session->state_) return fail(ErrorCode::invalid_argument, "evaluate: a piece of work without a session");
    Session::State& state = *item.session->state_;
    if (!seen.insert(&state).second) return fail(ErrorCode::invalid_argument, "evaluate: a session appears twice");
    if (!states.empty() && state.engine != states.front()->engine)
      return fail(ErrorCode::invalid_argument, "evaluate: sessions of different models");
    if (auto checked = check_tokens(item.tokens, state.engine->vocabulary()); !checked) return checked;
    if (item.tokens.size() > static_cast<std::size_t>(state.context) - state.tokens.size())
      return fail(ErrorCode::context_full, "the context of ", state.context, " tokens is full: ", state.tokens.size(), " are held and ",
                  item.tokens.size(), " more were given");
    states.push_back(&state);
  }
  for (std::size_t w = 0; w < work.size(); ++w) {
    Session::State& state = *states[w];
    const bool hidden_alone = work[w].on_hidden && !work[w].on_logits;
    if (hidden_alone && !state.hidden) {
      auto hidden = state.engine->hidden_pass(state.pass);
      if (!hidden) return hidden.error();
      state.hidden = *hidden;
    }
    passes.push_back(hidden_alone ? state.hidden.get() : state.pass.get());
  }
  if (states.empty()) return {};
  return Stepper(work, states, passes).run();
}

Result<void> Session::evaluate(std::span<const Token> tokens, const OnLogits& on_logits, const OnHidden& on_hidden) {
  Work work{this, tokens, on_logits, on_hidden};
  return strata::evaluate(std::span(&work, 1));
}

Result<void> Session::truncate(int length) {
  State& state = *state_;
  if (length < 0 || static_cast<std::size_t>(length) > state.tokens.size())
    return fail(ErrorCode::invalid_argument, "truncate: ", length, " is not between 0 and ", state.tokens.size());
  if (static_cast<std::size_t>(length) == state.tokens.size()) return {};
  std::vector<Token> replay;
  {
    std::lock_guard lock(state.engine->mutex());
    auto rewound = state.sequence->rewind(length);
    if (!rewound) return rewound.error();
    replay.assign(state.tokens.begin() + *rewound, state.tokens.begin() + length);
    state.shorten(*rewound);
  }
  if (replay.empty()) return {};
  auto replayed = evaluate(replay);
  return replayed;
}

Result<int> Session::sync(std::span<const Token> tokens) {
  State& state = *state_;
  if (auto checked = check_tokens(tokens, state.engine->vocabulary()); !checked) return checked.error();
  if (tokens.size() > static_cast<std::size_t>(state.context))
    return fail(ErrorCode::context_full, "a prompt of ", tokens.size(), " tokens exceeds the context of ", state.context);
  auto common = static_cast<std::size_t>(
      std::mismatch(tokens.begin(), tokens.end(), state.tokens.begin(), state.tokens.end()).first - tokens.begin());
  bool known = common == tokens.size() && common == state.tokens.size() && !state.logits.empty();
  if (known || tokens.empty()) {
    if (tokens.empty())
      if (auto cut = truncate(0); !cut) return cut.error();
    return 0;
  }
  state.learn_lead(common, tokens.size());
  // The last token again for its logits, unless they are kept.
  if (common == tokens.size() && static_cast<int>(common) != state.prompt_end) --common;
  // Going back and replaying is one evaluation: rewind, then append everything that is missing.
  if (common < state.tokens.size()) {
    std::lock_guard lock(state.engine->mutex());
    auto rewound = state.sequence->rewind(static_cast<int>(common));
    if (!rewound) return rewound.error();
    state.shorten(*rewound);
  }
  auto rest = tokens.subspan(state.tokens.size());
  if (auto evaluated = evaluate(rest); !evaluated) return evaluated.error();
  return static_cast<int>(rest.size());
}

void Session::start_profile() { state_->profiler.emplace(backend::cache_type(state_->engine->kv_type())); }

Profile Session::take_profile() {
  Profile out;
  if (state_->profiler) out = state_->profiler->profile();
  state_->profiler.reset();
  return out;
}

Result<Session> Session::fork() const {
  const State& state = *state_;
  auto copy = std::make_unique<State>(state.model);
  copy->engine = state.engine;
  copy->context = state.context;
  copy->pass = state.pass;
  copy->hidden = state.hidden;
  std::lock_guard lock(state.engine->mutex());
  auto sequence = state.sequence->fork();
  if (!sequence) return sequence.error();
  copy->sequence.emplace(std::move(*sequence));
  copy->tokens = state.tokens;
  copy->logits = state.logits;
  copy->prompt_end = state.prompt_end;
  copy->prompt_logits = state.prompt_logits;
  copy->lead = state.lead;
  return Session(std::move(copy));
}

}  // namespace strata
