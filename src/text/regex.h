// Owns: cutting texts by regular expressions, in linear time. Knows Unicode; knows nothing of tokenizers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "strata/result.h"
#include "text/regex_program.h"

namespace strata::text {

/// A pattern over Unicode text, run as a deterministic automaton: a table look-up per character, no stack, no
/// backtracking. What it matches is what Perl would match: the leftmost, and of its alternatives the first.
/// Syntax: alternation, groups, greedy ? * + {n} {m,n}, sets, \s \S (White_Space), \p{L M N P S}, \r \n \t, \x{..}, \z,
/// and look-ahead at one character, (?=X) and (?!X). Immutable and thread-safe.
class Regex {
 public:
  static Result<Regex> compile(std::string_view pattern);

  /// Cuts `text` at both ends of every match (left to right) and appends the ends of the pieces, gaps included, to
  /// `ends`; the last is `text.size()` unless the text is empty. Empty matches do not count. Bytes that are not UTF-8
  /// count as U+FFFD each. Under 4 GiB.
  void split(std::string_view text, std::vector<std::uint32_t>& ends) const;

 private:
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
  static constexpr std::size_t block = 128;  ///< characters that share a row of `blocks_`

  /// What one search saw: where it matched to, and where it gave up.
  struct Found {
    std::size_t end, stopped;
  };
  /// Known to lead to no match: being in `state` anywhere in [begin, end).
  struct Hopeless {
    std::uint32_t state = 0;
    std::size_t begin = 0, end = 0;
  };

  Result<void> classify(const Program& program);
  std::uint8_t class_of(std::string_view text, std::size_t at, std::size_t& length) const;
  template <bool careful>
  Found search(std::string_view text, std::size_t from, const Hopeless& hopeless) const;
  Hopeless retrace(std::string_view text, std::size_t from, Found found) const;

  std::array<std::uint8_t, 128> ascii_{};      ///< class of a character below U+0080
  std::array<bool, 128> begins_{};             ///< a match may begin with that character
  std::vector<std::uint16_t> block_of_;        ///< row of each block of characters
  std::vector<std::uint8_t> blocks_;           ///< class of each character of a row
  std::vector<std::vector<bool>> in_set_;      ///< [set][class]
  std::uint32_t classes_ = 0;                  ///< classes of characters; the end of the text is one more, the last
  std::vector<std::uint32_t> table_;           ///< [state][class]: next state << 1 | a match ends before this character
  std::uint32_t stride_ = 0;
  std::uint32_t first_ = 0;                    ///< the state a search begins in; state 0 is dead

  friend class Determinizer;
};

}  // namespace strata::text
