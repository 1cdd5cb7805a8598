// Owns: the spelling "<0xXX>" of tokens that stand for one byte.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace strata::text {

/// The byte that "<0xXX>" spells, or nothing.
inline std::optional<unsigned char> spelt_byte(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  unsigned char byte = 0;
  auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  if (error != std::errc{} || end != text.data() + 5) return std::nullopt;
  return byte;
}

inline std::string byte_spelling(int byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

}  // namespace strata::text
