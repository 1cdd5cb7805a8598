// Owns: a chat template from its text to a prompt: the variables that templates expect, and which bytes of the prompt
// are conversation. Knows no tokenizer and no model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strata/result.h"
#include "text/jinja/ast.h"
#include "text/jinja/machine.h"
#include "text/tokenizer.h"

namespace strata::text {

struct ChatInput {
  std::string_view messages;                                   ///< a JSON array of objects
  std::string_view tools;                                      ///< a JSON array, or empty
  bool open_answer = true;                                     ///< `add_generation_prompt`
  std::vector<std::pair<std::string, std::string>> tokens;     ///< "bos_token" and its text: part of the structure
  std::vector<std::pair<std::string, std::string>> variables;  ///< others, as JSON; later ones win
  std::optional<jinja::Time> now;  ///< what `strftime_now` tells; without it that function does not exist
  jinja::Limits limits;
};

struct ChatPrompt {
  std::string text;
  /// What came from messages, tools and variables and not from the template, in order and disjoint. It must never become
  /// control tokens.
  std::vector<ByteRange> content;
};

/// Immutable and thread-safe; copies share the tree.
class ChatTemplate {
 public:
  /// Errors: bad_file (not UTF-8, too long, or no template; names the line), unsupported (reads other templates).
  static Result<ChatTemplate> parse(std::string_view source);
  /// Errors: invalid_argument (the JSON; what the template refuses or cannot do with it; a limit), unsupported (a filter
  /// or test that does not exist). They name the line.
  Result<ChatPrompt> render(const ChatInput& input) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Block> program) : program_(std::move(program)) {}
  std::shared_ptr<const jinja::Block> program_;
};

/// ChatML, for models that know its markers and whose files have no template.
extern const std::string_view chatml_template;

}  // namespace strata::text
