// Owns: the ChatML and Llama 3 conversation formats. Knows how their templates vary, nothing of Jinja.
#include "text/chat_format.h"

#include <algorithm>

#include "base/text.h"

namespace strata::text {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// As Jinja's `trim` does for ASCII.
std::string_view trim(std::string_view text) {
  constexpr std::string_view space = " \t\n\r\f\v";
  std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::string_view strip_newlines(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

/// What stands between `before` and the first of `ends` after it; nothing where either is missing.
std::string_view between(std::string_view text, std::string_view before, std::string_view ends) {
  std::size_t start = text.find(before);
  if (start == std::string_view::npos) return {};
  text.remove_prefix(start + before.size());
  std::size_t end = text.find_first_of(ends);
  return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

/// The system text that a ChatML template writes where the conversation has none: a literal of the shape
/// '<|im_start|>system\nTEXT<|im_end|>', with its line break escaped or not.
std::string_view default_system(std::string_view chat_template) {
  for (std::string_view opening : {"<|im_start|>system\\n", "<|im_start|>system\n"})
    for (std::size_t at = 0; (at = chat_template.find(opening, at)) != std::string_view::npos;) {
      at += opening.size();
      std::string_view literal = chat_template.substr(at);
      literal = literal.substr(0, literal.find_first_of("'\"{"));
      if (std::size_t end = literal.find("<|im_end|>"); end != std::string_view::npos && end > 0)
        return literal.substr(0, end);
    }
  return {};
}

struct Answer {
  std::string_view reasoning, content;
};

/// Splits an answer at its last </think>, as the Qwen3 templates do.
Answer split_reasoning(std::string_view text) {
  constexpr std::string_view open = "<think>", close = "</think>";
  std::size_t last = text.rfind(close);
  if (last == std::string_view::npos) return {{}, text};
  Answer answer{text.substr(0, text.find(close)), text.substr(last + close.size())};
  while (answer.content.starts_with('\n')) answer.content.remove_prefix(1);
  if (std::size_t at = answer.reasoning.rfind(open); at != std::string_view::npos)
    answer.reasoning.remove_prefix(at + open.size());
  answer.reasoning = strip_newlines(answer.reasoning);
  return answer;
}

std::string format_chatml(std::string_view chat_template, std::span<const ChatMessage> messages, bool open_answer,
                          std::string_view bos) {
  const bool trims = contains(chat_template, "render_content(message.content, true)|trim");
  const bool thinks = contains(chat_template, "'</think>' in");
  const bool always_thinks = thinks && !contains(chat_template, "loop.last or (not loop.last and reasoning_content)");
  std::size_t last_user = messages.size();
  for (std::size_t i = 0; i < messages.size(); ++i)
    if (messages[i].role == "user") last_user = i;

  std::string out;
  if (contains(chat_template, "bos_token")) out += bos;
  if (messages.front().role != "system")
    if (std::string_view text = default_system(chat_template); !text.empty())
      out += str("<|im_start|>system\n", text, "<|im_end|>\n");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    std::string_view content = trims ? trim(message.content) : message.content;
    out += str("<|im_start|>", message.role, '\n');
    if (message.role == "assistant" && thinks) {
      Answer answer = split_reasoning(content);
      // Reasoning stays in the text only after the last question.
      bool current = last_user < messages.size() && i > last_user;
      if (current && (always_thinks || i + 1 == messages.size() || !answer.reasoning.empty()))
        out += str("<think>\n", trims ? trim(answer.reasoning) : answer.reasoning, "\n</think>\n\n");
      content = answer.content;
    }
    out += str(content, "<|im_end|>\n");
  }
  if (open_answer) {
    out += "<|im_start|>assistant\n";
    if (contains(chat_template, "{{- '<think>\\n' }}")) out += "<think>\n";  // Qwen3.5 opens with reasoning
  }
  return out;
}

std::string format_llama3(std::string_view chat_template, std::span<const ChatMessage> messages, bool open_answer,
                          std::string_view bos) {
  std::string out;
  if (contains(chat_template, "bos_token")) out += bos;
  auto write = [&](std::string_view role, std::string_view before, std::string_view content) {
    out += str("<|start_header_id|>", role, "<|end_header_id|>\n\n", before, trim(content), "<|eot_id|>");
  };
  if (contains(chat_template, "Cutting Knowledge Date: December 2023")) {
    // Llama 3.1 and later open with a system message that states two dates; today's is the template's own default, so
    // that a conversation renders the same tomorrow.
    std::string_view date = between(chat_template, "date_string = \"", "\"");
    std::string dates = str("Cutting Knowledge Date: December 2023\nToday Date: ", date, "\n\n");
    bool given = messages.front().role == "system";
    write("system", dates, given ? messages.front().content : std::string_view{});
    if (given) messages = messages.subspan(1);
  }
  for (const ChatMessage& message : messages) write(message.role, "", message.content);
  if (open_answer) out += "<|start_header_id|>assistant<|end_header_id|>\n\n";
  return out;
}

}  // namespace

Result<std::string> format_chat(std::string_view chat_template, std::span<const ChatMessage> messages, bool open_answer,
                                std::string_view bos) {
  if (chat_template.empty())
    return fail(ErrorCode::unsupported, "the model has no chat template (tokenizer.chat_template); prompt it with text");
  if (messages.empty()) return fail(ErrorCode::invalid_argument, "a conversation needs at least one message");
  for (const ChatMessage& message : messages)
    if (message.role != "system" && message.role != "user" && message.role != "assistant")
      return fail(ErrorCode::invalid_argument, "role '", message.role, "' is none of system, user, assistant");
  if (contains(chat_template, "<|im_start|>") && contains(chat_template, "<|im_end|>"))
    return format_chatml(chat_template, messages, open_answer, bos);
  if (contains(chat_template, "<|start_header_id|>") && contains(chat_template, "<|eot_id|>"))
    return format_llama3(chat_template, messages, open_answer, bos);
  return fail(ErrorCode::unsupported,
              "tokenizer.chat_template is neither ChatML nor Llama 3; write the conversation as a plain prompt");
}

}  // namespace strata::text
