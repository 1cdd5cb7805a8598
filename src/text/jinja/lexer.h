// Owns: cutting a template into text and tokens, with white space controlled as trim_blocks and lstrip_blocks ask.
// Knows no grammar.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "strata/result.h"

namespace strata::text::jinja {

enum class TokenKind {
  text,            ///< outside of all tags
  variable_begin,  ///< {{
  variable_end,
  block_begin,  ///< {%
  block_end,
  name,
  string,  ///< unescaped
  integer,
  real,
  symbol,  ///< an operator or bracket
  end,     ///< of the template
};

struct Token {
  TokenKind kind;
  int line;
  std::string text;
};

/// The tokens of a template, `end` last. Line ends become "\n"; one at the template's end is dropped.
Result<std::vector<Token>> tokenize(std::string_view source);

/// An error of a template's text.
Error syntax_error(int line, std::string_view message);

}  // namespace strata::text::jinja
