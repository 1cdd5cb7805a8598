// Owns: cutting pieces of bytes where no merge can reach across. Knows no merges.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

namespace strata::text {

/// Knows which neighbours some merge joins: the last byte of its left part and the first of its right one. Between any
/// others no merge reaches across, so that a long piece falls into words, which come again.
class ByteWords {
 public:
  void note(std::uint8_t last, std::uint8_t first) { joins_.set(pair(last, first)); }

  /// Calls `visit(word)` for the words of a piece, not empty; together they are the piece.
  template <class Visit>
  void each(std::string_view piece, Visit visit) const {
    std::size_t begin = 0;
    for (std::size_t at = 1; piece.size() > short_piece && at < piece.size(); ++at) {
      if (joins_[pair(static_cast<std::uint8_t>(piece[at - 1]), static_cast<std::uint8_t>(piece[at]))]) continue;
      visit(piece.substr(begin, at - begin));
      begin = at;
    }
    visit(piece.substr(begin));
  }

 private:
  static std::size_t pair(std::uint8_t last, std::uint8_t first) { return static_cast<std::size_t>(last << 8 | first); }

  static constexpr std::size_t short_piece = 16;  ///< bytes: a word already, in most texts

  std::bitset<65536> joins_;
};

}  // namespace strata::text
