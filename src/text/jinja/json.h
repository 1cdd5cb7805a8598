// Owns: JSON text to values, and values to JSON text as Python's json.dumps writes it. Knows no syntax tree.
#pragma once

#include <string_view>

#include "text/jinja/machine.h"

namespace strata::text::jinja {

/// Reads one JSON value. Every string in it is conversation text, except the values of `structural_key` that are plain
/// words (letters, digits, '_' and '-'): templates build control tokens out of roles. Errors name the byte.
Value parse_json(Machine& machine, std::string_view text, std::string_view structural_key = {});

struct JsonLayout {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool lines = false;                   ///< one element on each line, behind `indent` for each level
  Value indent;                         ///< a string
  Value item_separator, key_separator;  ///< strings
};
/// Fails for values that JSON cannot say.
Value dump_json(Machine& machine, const Value& value, const JsonLayout& layout);

}  // namespace strata::text::jinja
