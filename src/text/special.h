// Owns: cutting the tokens that are matched as whole strings (control, user-defined, unknown) out of a text.
// Knows no tokenizer model.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "text/token_table.h"
#include "text/tokenizer.h"

namespace strata::text {

/// A stretch of a text: raw text to be tokenized, or one token (`token` >= 0).
struct Fragment {
  std::string_view text;
  std::int32_t token = -1;
};

/// The white space beside a special token that it swallows.
struct Strip {
  bool left = false, right = false;
};

class SpecialTokens {
 public:
  /// Copies what it needs; the texts' storage must outlive it. `strip(id)` is asked for each special token.
  explicit SpecialTokens(const TokenTable& table, const std::function<Strip(std::int32_t)>& strip = {});

  /// The fragments of `text` in order, none empty. Each token, the longest first and among equals the lowest id, claims
  /// its occurrences from left to right in what is still raw, with the ASCII white space beside it that it swallows.
  /// `control` also matches control and unknown tokens, else only user-defined ones. A marker that touches a range of
  /// `content` is no token there: neither a control token nor a user-defined one that looks like one, such as <|end|>.
  /// Time is O(n log n) in the text for a given vocabulary.
  std::vector<Fragment> partition(std::string_view text, bool control, std::span<const ByteRange> content = {}) const;

  std::size_t longest() const { return longest_; }  ///< bytes of the longest special token; 0 without any

 private:
  struct Entry {
    std::string_view text;
    std::int32_t id;
    Strip strip;
  };
  struct Range {
    std::uint32_t begin = 0, end = 0;
  };
  /// Entries in the order of their texts, which makes the list a trie: the entries below a prefix are a range.
  struct Trie {
    std::vector<Entry> entries;
    std::array<Range, 256> by_first_byte;

    void build();
    /// The entry that is the longest prefix of `text` with at most `limit` bytes, or null.
    const Entry* longest(std::string_view text, std::size_t limit) const;
  };

  Trie all_, user_defined_;
  Trie plain_;  ///< user-defined tokens that mark nothing: spaces, HTML tags, <think>
  std::size_t longest_ = 0;
};

}  // namespace strata::text
