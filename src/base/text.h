// Owns: building messages. `fail(code, parts...)` is how every layer makes an Error. Knows nothing of strata's layers.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "strata/result.h"

namespace strata {

namespace text_detail {

inline void append(std::string& out, std::string_view part) { out += part; }
inline void append(std::string& out, const char* part) { out += part; }
inline void append(std::string& out, char part) { out += part; }
inline void append(std::string& out, bool part) { out += part ? "true" : "false"; }

template <class Number>
  requires(std::integral<Number> || std::floating_point<Number>)
void append(std::string& out, Number part) {
  char digits[64];
  auto end = std::to_chars(digits, digits + sizeof digits, part).ptr;
  out.append(digits, end);
}

}  // namespace text_detail

/// Concatenates strings and numbers (shortest round-trip form for floats), independent of the locale.
template <class... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  (text_detail::append(out, parts), ...);
  return out;
}

/// An `Error` whose message is the concatenation of `parts`.
template <class... Parts>
Error fail(ErrorCode code, const Parts&... parts) {
  return Error{code, str(parts...)};
}

}  // namespace strata
