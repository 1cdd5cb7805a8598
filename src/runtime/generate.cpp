// Owns: Session::generate: prompt in, sampled tokens and streamed text out. Knows sessions, samplers and tokenizers.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "runtime/state.h"

namespace strata {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Finds stop strings in streamed text; holds back what may still become one.
class StopWatch {
 public:
  explicit StopWatch(const std::vector<std::string>& stops) : stops_(stops) {}

  /// The text that may be shown now; `found()` tells whether a stop string followed it.
  std::string push(std::string_view text) {
    held_ += text;
    std::size_t at = std::string::npos;
    for (const std::string& stop : stops_)
      if (!stop.empty()) at = std::min(at, held_.find(stop));
    if (at != std::string::npos) {
      found_ = true;
      std::string out = held_.substr(0, at);
      held_.clear();
      return out;
    }
    // The longest end of the text that begins a stop string stays back.
    std::size_t keep = 0;
    for (const std::string& stop : stops_)
      for (std::size_t n = 1; n < stop.size() && n <= held_.size(); ++n)
        if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = std::max(keep, n);
    std::string out = held_.substr(0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return out;
  }
  std::string rest() { return std::exchange(held_, {}); }
  bool found() const { return found_; }

 private:
  const std::vector<std::string>& stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace

/// Syncs to a prompt with marks where the next turn may leave this one: at its end, and `lead` tokens before, since the
/// next turn may lack the beginning of a thought that this prompt ends with.
Result<int> Session::sync_marked(std::span<const Token> prompt) {
  State& state = *state_;
  runtime::Sequence& sequence = *state.sequence;
  auto mark = [&]() -> Result<void> {
    std::lock_guard lock(state.engine->mutex());
    return sequence.mark();
  };
  sequence.drop_marks();
  const auto held = static_cast<std::size_t>(
      std::mismatch(prompt.begin(), prompt.end(), state.tokens.begin(), state.tokens.end()).first - prompt.begin());
  state.learn_lead(held, prompt.size());
  int evaluated = 0;
  for (int lead : {state.lead, 0}) {
    if (lead > 0 && (!state.engine->pool().recurrent() || prompt.size() < held + static_cast<std::size_t>(lead) + 1)) continue;
    auto synced = sync(prompt.first(prompt.size() - static_cast<std::size_t>(lead)));
    if (!synced) return synced;
    evaluated += *synced;
    if (auto marked = mark(); !marked) return marked.error();
  }
  state.prompt_end = static_cast<int>(prompt.size());
  state.prompt_logits = state.logits;
  return evaluated;
}

Result<Generated> Session::generate(std::span<const Token> prompt, Sampler& sampler, const GenerateOptions& options,
                                    const OnToken& on_token) {
  if (prompt.empty()) return fail(ErrorCode::invalid_argument, "generate: the prompt is empty; give at least one token");
  const Clock::time_point start = Clock::now();
  Generated out;
  out.prompt_tokens = static_cast<int>(prompt.size());
  auto evaluated = sync_marked(prompt);
  if (!evaluated) return evaluated.error();
  out.prompt_evaluated = *evaluated;
  out.prompt_seconds = seconds_since(start);
  for (Token token : prompt) sampler.accept(token);

  const Tokenizer* tokenizer = state_->model.tokenizer();
  std::optional<TextStream> stream;
  if (tokenizer) stream.emplace(*tokenizer, options.special, /*continues=*/true);
  StopWatch stops(options.stop);
  Clock::time_point first = start;
  out.reason = StopReason::length;
  while (options.max_tokens < 0 || static_cast<int>(out.tokens.size()) < options.max_tokens) {
    Token token = sampler.sample(logits());
    if (out.tokens.empty()) {
      out.first_token_seconds = seconds_since(start);
      first = Clock::now();
    }
    if (!options.ignore_eos && tokenizer && tokenizer->is_end_of_generation(token)) {
      out.reason = StopReason::end_of_generation;
      break;
    }
    sampler.accept(token);
    out.tokens.push_back(token);
    std::string text = stops.push(stream ? stream->push(token) : std::string());
    out.text += text;
    bool go_on = !on_token || on_token(token, text);
    if (stops.found()) out.reason = StopReason::stop_string;
    else if (!go_on) out.reason = StopReason::callback;
    if (stops.found() || !go_on) break;
    if (static_cast<int>(out.tokens.size()) == options.max_tokens) break;
    if (const int held = static_cast<int>(tokens().size()); held >= state_->context) {
      const int keep = std::min(options.shift_keep, held - 2), half = (held - keep) / 2;
      if (keep < 0) {
        out.reason = StopReason::context_full;
        break;
      }
      if (auto shifted = shift(keep, half); !shifted) return shifted.error();
    }
    if (auto stepped = evaluate(std::span(&token, 1)); !stepped) return stepped.error();
  }
  out.decode_seconds = out.tokens.empty() ? 0 : seconds_since(first);
  if (!stops.found()) {
    std::string text = stops.push(stream ? stream->finish() : std::string());
    if (!stops.found()) text += stops.rest();
    out.text += text;
    if (on_token && !text.empty() && out.reason != StopReason::callback) on_token(no_token, text);
  }
  return out;
}

}  // namespace strata
