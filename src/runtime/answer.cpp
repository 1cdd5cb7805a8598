// Owns: AnswerSplitter: thoughts and answers told apart in streamed text. Knows the markers that models write, no model.
// Sources: the model cards of Qwen3, DeepSeek-R1 and GLM-4.6; the harmony response format; the template of Gemma 4.
#include <algorithm>

#include "strata/chat.h"

namespace strata {

namespace {

/// What stands round a thought at the beginning of an answer.
struct Brackets {
  std::string_view open, close;
};
constexpr Brackets brackets[] = {{"<think>", "</think>"}, {"<|channel>thought", "<channel|>"}};

/// Harmony: messages `<|start|>role<|channel|>name<|message|>text<|end|>` one after another, the first without its start.
constexpr std::string_view message_marker = "<|message|>", channel_marker = "<|channel|>", start_marker = "<|start|>";
constexpr std::string_view header_markers[] = {channel_marker, start_marker, message_marker};
constexpr std::string_view message_ends[] = {"<|end|>", "<|return|>", "<|call|>", start_marker, channel_marker};
/// Longer text before `<|message|>` is no header.
constexpr std::size_t max_header = 512;

constexpr std::string_view line_ends = "\r\n", spaces = " \t\r\n";

std::string_view without_end(std::string_view text, std::string_view what) {
  return text.substr(0, text.find_last_not_of(what) + 1);
}

/// Where the longest end of the text begins that may become `marker`.
std::size_t possible(std::string_view text, std::string_view marker) {
  std::size_t at = text.size() - std::min(text.size(), marker.size() - 1);
  while (!marker.starts_with(text.substr(at))) ++at;
  return at;
}

}  // namespace

struct AnswerSplitter::State {
  enum class Place { begin, thought, answer, header, message };

  Place place = Place::begin;
  std::string_view close;   ///< ends the thought
  bool trims = false;       ///< line ends that come next are left out
  bool in_thought = false;  ///< the harmony message
  std::string held, answer, thought;
  std::vector<AnswerText> out;

  void emit(std::string_view text, bool is_thought) {
    if (text.empty()) return;
    (is_thought ? thought : answer) += text;
    if (out.empty() || out.back().thought != is_thought) out.push_back({{}, is_thought});
    out.back().text += text;
  }
  void emit_held(std::size_t count, bool is_thought) {
    emit(std::string_view(held).substr(0, count), is_thought);
    held.erase(0, count);
  }

  /// Each step does what it can with the held text; true: the next place can go on with the rest.
  bool step() {
    if (trims) {
      held.erase(0, std::min(held.find_first_not_of(line_ends), held.size()));
      if (held.empty()) return false;
      trims = false;
    }
    switch (place) {
      case Place::begin: return begin();
      case Place::thought: return think();
      case Place::answer: emit_held(held.size(), false); return false;
      case Place::header: return read_header();
      case Place::message: return read_message();
    }
    return false;
  }

  bool begin() {
    const std::size_t at = held.find_first_not_of(spaces);
    if (at == std::string::npos) return false;
    const std::string_view rest = std::string_view(held).substr(at);
    bool undecided = false;
    for (const Brackets& pair : brackets) {
      if (rest.starts_with(pair.open)) {
        held.erase(0, at + pair.open.size());
        open(pair);
        return true;
      }
      undecided = undecided || pair.open.starts_with(rest);
    }
    for (std::string_view marker : header_markers) {
      if (rest.starts_with(marker)) {
        held.erase(0, at);
        place = Place::header;
        return true;
      }
      undecided = undecided || marker.starts_with(rest);
    }
    if (!undecided) place = Place::answer;
    return !undecided;
  }

  void open(const Brackets& pair) {
    place = Place::thought;
    close = pair.close;
    trims = true;
  }

  bool think() {
    const std::size_t end = held.find(close);
    if (end == std::string::npos) {
      const std::size_t safe = possible(held, close);
      emit_held(without_end(std::string_view(held).substr(0, safe), line_ends).size(), true);
      return false;
    }
    emit(without_end(std::string_view(held).substr(0, end), line_ends), true);
    held.erase(0, end + close.size());
    place = Place::answer;
    trims = true;
    return true;
  }

  bool read_header() {
    const std::size_t end = held.find(message_marker);
    if (end == std::string::npos) {
      if (held.size() > max_header) place = Place::answer;
      return place == Place::answer;
    }
    std::string_view header = std::string_view(held).substr(0, end);
    const std::size_t channel = header.rfind(channel_marker);
    in_thought = false;
    if (channel != std::string::npos) {
      header.remove_prefix(channel + channel_marker.size());
      in_thought = header.substr(0, header.find_first_of(" <")) != "final";
    }
    held.erase(0, end + message_marker.size());
    place = Place::message;
    if (!(in_thought ? thought : answer).empty()) emit("\n", in_thought);
    return true;
  }

  bool read_message() {
    std::size_t end = std::string::npos, safe = held.size();
    for (std::string_view marker : message_ends) {
      end = std::min(end, held.find(marker));
      safe = std::min(safe, possible(held, marker));
    }
    emit_held(std::min(end, safe), in_thought);
    if (end != std::string::npos) place = Place::header;
    return end != std::string::npos;
  }
};

AnswerSplitter::AnswerSplitter(std::string_view prompt) : state_(std::make_unique<State>()) {
  for (const Brackets& pair : brackets)
    if (without_end(prompt, spaces).ends_with(pair.open)) state_->open(pair);
}
AnswerSplitter::~AnswerSplitter() = default;
AnswerSplitter::AnswerSplitter(AnswerSplitter&&) noexcept = default;
AnswerSplitter& AnswerSplitter::operator=(AnswerSplitter&&) noexcept = default;

std::vector<AnswerText> AnswerSplitter::push(std::string_view text) {
  state_->held += text;
  while (!state_->held.empty() && state_->step()) {}
  return std::exchange(state_->out, {});
}

std::vector<AnswerText> AnswerSplitter::finish() {
  State& s = *state_;
  if (s.place == State::Place::header) s.held.clear();  // the beginning of a message that never came
  else
    s.emit_held(s.held.size(), s.place == State::Place::thought || (s.place == State::Place::message && s.in_thought));
  return std::exchange(s.out, {});
}

const std::string& AnswerSplitter::answer() const { return state_->answer; }
const std::string& AnswerSplitter::thought() const { return state_->thought; }

}  // namespace strata
