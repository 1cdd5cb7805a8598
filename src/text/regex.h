// Owns: the interface to regular expressions. Exactly one of regex_pcre2.cpp and regex_absent.cpp is linked.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "strata/result.h"

namespace strata::text {

/// A compiled Perl-style pattern over Unicode text. Immutable and thread-safe. `\s`, which must stand within brackets,
/// is the Unicode property White_Space; `\p{..}` are general categories.
class Regex {
 public:
  static Result<std::unique_ptr<Regex>> compile(std::string_view pattern);
  virtual ~Regex() = default;

  /// Cuts `text` at both ends of every match (left to right) and appends the ends of the pieces, gaps included, to
  /// `ends`; the last is `text.size()` unless the text is empty. An error for text that is not valid UTF-8.
  virtual Result<void> split(std::string_view text, std::vector<std::uint32_t>& ends) const = 0;
};

}  // namespace strata::text
