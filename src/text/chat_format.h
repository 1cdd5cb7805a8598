// Owns: writing a conversation the way a chat template asks, for the two families ChatML and Llama 3, recognised by the
// control tokens that the template spells out. It does not run the template. Knows no tokenizer and no model.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "strata/result.h"

namespace strata::text {

struct ChatMessage {
  std::string_view role;  ///< "system", "user" or "assistant"
  std::string_view content;
};

/// The text of a conversation; with `open_answer` it ends where the assistant's answer begins. Where the template writes
/// the beginning-of-sequence token, `bos` (the token's text) is written: encode the result with `add_special` off.
/// Errors: unsupported (another template, or none), invalid_argument (no messages, another role).
Result<std::string> format_chat(std::string_view chat_template, std::span<const ChatMessage> messages, bool open_answer,
                                std::string_view bos = {});

}  // namespace strata::text
