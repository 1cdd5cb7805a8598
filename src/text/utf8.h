// Owns: reading and writing UTF-8, leniently (what tokenizers were trained against) and strictly (what leaves the
// library). Knows nothing of tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::text {

/// "▁", the stand-in for a space in SentencePiece vocabularies.
inline constexpr std::string_view space_mark = "\xE2\x96\x81";
/// U+FFFD.
inline constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// Bytes that a lead byte announces, 1..4; 1 for a byte that cannot lead.
constexpr std::size_t announced_length(char lead) {
  auto byte = static_cast<unsigned char>(lead);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

void append_utf8(std::string& out, char32_t code);

/// One character read by structure alone: lead byte and continuation bytes. Overlong forms and surrogates are taken for
/// the number they spell; `ok` is false for a byte that starts no such sequence and for numbers above U+10FFFF.
struct LooseChar {
  char32_t code = 0xFFFD;
  std::size_t length = 1;
  bool ok = false;
};
/// Precondition: `at < bytes.size()`.
LooseChar loose_char(std::string_view bytes, std::size_t at);

/// True for well-formed UTF-8 of the Unicode standard.
bool valid_utf8(std::string_view bytes);

/// The bytes with every malformed byte replaced by U+FFFD and overlong forms spelt normally. Surrogates stay, as three
/// bytes each: byte-level vocabularies can spell them and round-trip them.
std::string loosely_normalized(std::string_view bytes);

/// Moves the well-formed characters at the front of `bytes` to `out`, malformed ones as U+FFFD (one per maximal
/// subpart, Unicode 3.9), and leaves only what may yet become a character (at most 3 bytes) in `bytes`.
void take_complete(std::string& bytes, std::string& out);

}  // namespace strata::text
