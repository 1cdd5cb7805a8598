// Owns: U+2581 in place of spaces, and cutting such texts where no token can reach across. Knows no merges.
#pragma once

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

/// Knows of which characters (by their last byte) some token says that a mark may follow within it. Before any other mark a
/// text can be cut: whatever the scores, no token and no merge reaches across. In most vocabularies that is everywhere.
class MarkedWords {
 public:
  /// Notes the marks within a token. What may come from joining tokens is to be noted for the joined text, too.
  void note(std::string_view token) {
    for (std::size_t at = token.find(space_mark, 1); at != std::string_view::npos; at = token.find(space_mark, at + 1))
      if (!token.substr(0, at).ends_with(space_mark)) joins_.set(static_cast<unsigned char>(token[at - 1]));
  }

  /// Notes that `left` and `right` may be joined.
  void note(std::string_view left, std::string_view right) {
    if (right.starts_with(space_mark) && !left.empty() && !left.ends_with(space_mark))
      joins_.set(static_cast<unsigned char>(left.back()));
  }

  /// Calls `visit(word)` for the words of `text`, marks in front; together they are the text.
  template <class Visit>
  void each(std::string_view text, Visit visit) const {
    std::size_t begin = 0;
    for (std::size_t at = text.find('\xE2', 1); at < text.size(); at = text.find('\xE2', at + 1)) {
      if (!text.substr(at).starts_with(space_mark)) continue;
      auto before = static_cast<unsigned char>(text[at - 1]);
      if (joins_[before] || (before == 0x81 && text.substr(0, at).ends_with(space_mark))) continue;
      visit(text.substr(begin, at - begin));
      begin = at;
    }
    if (begin < text.size()) visit(text.substr(begin));
  }

 private:
  std::bitset<256> joins_;
};

}  // namespace strata::text
