// Owns: the public face of conversations: to a prompt, as a model's own chat template asks, and an answer's text to its
// thoughts and what they led to. Usable without loading a model's weights.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strata/export.h"
#include "strata/result.h"
#include "strata/tokenizer.h"

namespace strata {

struct Message {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
  /// What an assistant thought before it answered. Where there is any, templates find it under both names that they look
  /// for, `reasoning_content` and `thinking`; most drop the thoughts of earlier turns.
  std::string thought = {};
};

/// A date and time of day, as the user's clock shows it.
struct LocalTime {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0;
};

struct ChatOptions {
  bool add_generation_prompt = true;  ///< the prompt ends where the assistant's answer begins
  std::string tools;                  ///< a JSON array of tools, or empty
  /// More variables for the template as names and JSON values: {"enable_thinking", "false"}. Later ones win, also over
  /// those that the model's file gives.
  std::vector<std::pair<std::string, std::string>> variables;
  /// What `strftime_now` tells. Without it the function does not exist, and most templates write a date of their own.
  std::optional<LocalTime> now;
  /// One of `variants`. Empty: "tool_use" where there are tools and it exists, else the default.
  std::string variant;
};

/// Templates in the language of Jinja, run without access to anything but their variables. Time, memory, nesting and
/// output are bounded. Immutable and thread-safe; cheap to copy.
class STRATA_API ChatTemplate {
 public:
  /// Errors: bad_file, unsupported (tags that read other templates); they name the line.
  static Result<ChatTemplate> parse(std::string_view source);
  /// The templates of a GGUF file, with the texts of its tokens (bos_token, eos_token, ...) as variables. A file without
  /// a template gets ChatML where its vocabulary has <|im_start|> and <|im_end|>; else that is ErrorCode::unsupported.
  static Result<ChatTemplate> load(const std::string& path);
  /// The same with a template of the caller's in place of the file's.
  static Result<ChatTemplate> load(const std::string& path, std::string_view source);

  /// `messages` is a JSON array of objects, each with a "role" and whatever else the template reads: content, tool_calls.
  /// Everything in it is marked as content, except roles that are plain words, so that it cannot become control tokens.
  /// Errors: invalid_argument (JSON; what the template refuses; a limit), unsupported (an unknown filter or test),
  /// not_found (variant), bad_file (the variant's text).
  Result<ChatPrompt> render(std::string_view messages, const ChatOptions& options = {}) const;
  Result<ChatPrompt> render(std::span<const Message> messages, const ChatOptions& options = {}) const;

  /// The names of the templates: "" is the default, "tool_use" is for conversations with tools.
  std::vector<std::string> variants() const;
  /// The template's text; empty for an unknown variant.
  std::string_view source(std::string_view variant = {}) const;
  /// True for ChatML in place of a template that the file has not.
  bool is_fallback() const;

  struct State;
  explicit ChatTemplate(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<const State> state_;
};

struct AnswerText {
  std::string text;
  bool thought = false;
};

/// Tells an answer from the thoughts that a model writes with it, in text that comes in pieces of any size. Knows <think>
/// and </think> (Qwen, DeepSeek, GLM), the channels of harmony (gpt-oss: "final" is the answer, all others are thoughts)
/// and the thought channel of Gemma 4. Markers are those of the text's beginning: text that begins otherwise is an answer
/// to its end. They are left out, and so are line ends next to <think> and </think>. One for each answer.
class STRATA_API AnswerSplitter {
 public:
  /// `prompt`: what the answer goes on from; templates open a thought at its end.
  explicit AnswerSplitter(std::string_view prompt = {});
  ~AnswerSplitter();
  AnswerSplitter(AnswerSplitter&&) noexcept;
  AnswerSplitter& operator=(AnswerSplitter&&) noexcept;

  /// What is certain with this text; what may still become a marker is held back.
  std::vector<AnswerText> push(std::string_view text);
  /// What was held back: a marker cut short is text.
  std::vector<AnswerText> finish();
  /// All of either so far.
  const std::string& answer() const;
  const std::string& thought() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
