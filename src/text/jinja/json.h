// Owns: JSON text to values, and values to JSON text as Python's json.dumps writes it. Knows no syntax tree.
#pragma once

#include <string_view>

#include "text/jinja/machine.h"

namespace strata::text::jinja {

/// Reads one JSON value. Every string in it is conversation text, except the values of `structural_key` that are plain
/// words (letters, digits, '_' and '-'): templates build control tokens out of roles. Of a name that comes twice the last
/// value counts. Integers beyond 64 bits are floats; numbers beyond those, half surrogate pairs and what is not UTF-8 are
/// errors. Errors name the byte that the reader had come to, the first being 1.
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
