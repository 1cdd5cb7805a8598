// Owns: SentencePiece's precompiled normalizer: a trie of texts and what each is replaced by.
// Source: Kudo and Richardson, "SentencePiece" (arXiv:1808.06226), section 3.2; Kanda, "Space- and Time-Efficient String
// Dictionaries" (2018), chapter 4, for the double array; darts-clone for its bits. Knows no vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "strata/result.h"

namespace strata::text {

class Charsmap {
 public:
  Charsmap() = default;  ///< replaces nothing
  /// Copies the bytes: a 32-bit length, that many bytes of 32-bit units, then replacements, each ended by a zero byte.
  /// What a damaged table points to outside of itself is no match.
  static Result<Charsmap> create(std::string_view bytes);

  struct Match {
    std::size_t length = 0;  ///< bytes replaced; 0: nothing
    std::string_view replacement;
  };
  /// The longest text at the front of `text` that is replaced.
  Match longest(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::vector<char> replacements_;
};

}  // namespace strata::text
