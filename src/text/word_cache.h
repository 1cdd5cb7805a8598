// Owns: remembering, during one encoding, the tokens of words seen before. Knows nothing of how words become tokens.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/string_index.h"

namespace strata::text {

/// A table with one place per hash; a newer word takes the place of an older one. The tokens are not stored again: they
/// stand in the output already. Natural text repeats its words, so that most are copied.
class WordCache {
 public:
  using Tokens = std::vector<std::int32_t>;

  /// `text` holds all the words and must outlive the cache. Texts too short to repeat much get no table.
  explicit WordCache(std::string_view text)
      : text_(text), entries_(text.size() < 512 ? 0 : std::bit_ceil(std::clamp<std::size_t>(text.size() / 32, 64, 65536))) {}

  /// Appends the tokens of `word`, a part of the text: those of the same word before, or what `encode(word, out)` gives.
  template <class Encode>
  void tokens_of(std::string_view word, Tokens& out, Encode encode) {
    if (entries_.empty() || word.size() > max_word) return encode(word, out);
    Entry& entry = entries_[hash_of(word) & (entries_.size() - 1)];
    if (entry.size == word.size() && text_.substr(entry.begin, entry.size) == word) {
      for (std::uint32_t i = entry.first; i < entry.first + entry.count; ++i) out.push_back(out[i]);
      return;
    }
    std::size_t first = out.size();
    encode(word, out);
    entry = {static_cast<std::uint32_t>(word.data() - text_.data()), static_cast<std::uint32_t>(word.size()),
             static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(out.size() - first)};
  }

 private:
  static constexpr std::size_t max_word = 64;  // longer ones seldom come again

  struct Entry {
    std::uint32_t begin = 0, size = 0;   ///< in the text; size 0: free
    std::uint32_t first = 0, count = 0;  ///< in the output
  };

  std::string_view text_;
  std::vector<Entry> entries_;
};

}  // namespace strata::text
