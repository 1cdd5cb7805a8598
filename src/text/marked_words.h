// Owns: U+2581 in place of spaces, and cutting such texts where no token can reach across. Knows no merges.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "text/utf8.h"

namespace strata::text {

/// The text with U+2581 for each space, behind one more of them if `prefix`.
inline std::string marked(std::string_view text, bool prefix) {
  std::string out;
  out.reserve(text.size() + text.size() / 2 + 3);
  if (prefix) out += space_mark;
  while (!text.empty()) {
    std::size_t space = std::min(text.find(' '), text.size());
    out.append(text.substr(0, space));
    if (space < text.size()) out += space_mark;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out;
}

/// Appends a token's text with spaces for U+2581.
inline void append_unmarked(std::string_view text, std::string& out) {
  while (!text.empty()) {
    std::size_t mark = std::min(text.find(space_mark), text.size());
    out.append(text.substr(0, mark));
    if (mark < text.size()) out += ' ';
    text.remove_prefix(std::min(mark + space_mark.size(), text.size()));
  }
}

/// Knows which pairs of neighbours some token, or some merge, joins. Between any others a text can be cut: whatever the
/// scores, no token and no merge reaches across. A character is told by its last byte as the left neighbour and by its
/// first as the right one, but the mark by itself, so that in most vocabularies every mark begins a word.
class MarkedWords {
 public:
  /// Notes the neighbours within a token.
  void note(std::string_view token) {
    each_place(token, [this](std::size_t, std::size_t pair) { joins_.set(pair); });
  }

  /// Notes that `left` and `right`, not empty, may be joined.
  void note(std::string_view left, std::string_view right) {
    std::size_t last = left.ends_with(space_mark) ? mark : static_cast<unsigned char>(left.back());
    std::size_t first = right.starts_with(space_mark) ? mark : static_cast<unsigned char>(right.front());
    joins_.set(last << 8 | first);
  }

  /// Calls `visit(word)` for the words of `text`, which is UTF-8; together they are the text.
  template <class Visit>
  void each(std::string_view text, Visit visit) const {
    std::size_t begin = 0;
    each_place(text, [&](std::size_t at, std::size_t pair) {
      if (joins_[pair]) return;
      visit(text.substr(begin, at - begin));
      begin = at;
    });
    if (begin < text.size()) visit(text.substr(begin));
  }

 private:
  static constexpr std::size_t mark = 0xFF;  // a byte that UTF-8 does not have

  /// Calls `visit(at, pair)` for every place between two characters.
  template <class Visit>
  static void each_place(std::string_view text, Visit visit) {
    std::size_t last = 0;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t length = std::min(announced_length(text[at]), text.size() - at);
      bool is_mark = length == space_mark.size() && text.substr(at, length) == space_mark;
      std::size_t first = is_mark ? mark : static_cast<unsigned char>(text[at]);
      if (at > 0) visit(at, last << 8 | first);
      at += length;
      last = is_mark ? mark : static_cast<unsigned char>(text[at - 1]);
    }
  }

  std::bitset<65536> joins_;
};

}  // namespace strata::text
