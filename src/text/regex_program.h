// Owns: reading a pattern into a program of steps. Knows nothing of automata and texts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "strata/result.h"
#include "text/unicode.h"

namespace strata::text {

/// A set of characters: ranges in ascending order, not touching.
using CharSet = std::vector<CodeRange>;

/// One step of a nondeterministic program (Thompson). `fork` prefers `next` to `other`.
struct Step {
  enum class Kind : std::uint8_t { consume, look, fork, match };
  Kind kind = Kind::match;
  bool at_end = false;      ///< look: the end of the text passes
  std::uint16_t set = 0;    ///< consume, look: index of the set that the next character must be in
  std::uint32_t next = 0;
  std::uint32_t other = 0;  ///< fork only
};

struct Program {
  std::vector<Step> steps;
  std::vector<CharSet> sets;
  std::uint32_t start = 0;
};

/// Errors: invalid_argument with the place in the pattern.
Result<Program> parse_pattern(std::string_view pattern);

}  // namespace strata::text
