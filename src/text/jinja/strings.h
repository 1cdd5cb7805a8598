// Owns: making and cutting template strings so that the marks of conversation text follow every byte, and code points.
// Knows nothing of operators.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "text/jinja/machine.h"

namespace strata::text::jinja {

/// Bytes of the character that begins with this byte of well-formed UTF-8.
constexpr std::size_t character_bytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
/// The character at a byte of well-formed UTF-8.
char32_t character_at(std::string_view text, std::size_t at);
std::size_t count_characters(std::string_view text);
/// As Python's str.isspace and str.isprintable see a character.
bool is_space(char32_t c);
bool is_printable(char32_t c);

/// Puts a string together. All texts of a template are made here, so this is where their memory is counted.
class TextBuilder {
 public:
  explicit TextBuilder(Machine& machine) : machine_(machine) {}
  ~TextBuilder() { Charge given_back = machine_.charge(taken_); }
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;

  void append(std::string_view bytes, bool content);
  void append(const String& text) { append(text, 0, text.bytes.size()); }
  /// Bytes [begin, end) with their marks.
  void append(const String& text, std::size_t begin, std::size_t end);
  std::size_t size() const { return bytes_.size(); }
  std::string_view view() const { return bytes_; }
  Value finish(bool markup = false);

 private:
  bool room(std::size_t bytes);
  void mark(std::size_t begin, std::size_t end);

  Machine& machine_;
  std::string bytes_;
  std::vector<Span> content_;
  std::uint64_t taken_ = 0;
};

/// False, with an error, when a text of so many bytes could not be made. Asked before one is put together from copies.
bool fits(Machine& machine, std::int64_t copies, std::size_t bytes);
/// A constant of a template, which no budget counts.
Value constant_text(std::string bytes);
Value substring(Machine& machine, const String& text, std::size_t begin, std::size_t end);
/// Where the character of that index begins; the text's end for the index behind the last one.
std::size_t byte_offset(const String& text, std::size_t index);
/// True where any of bytes [begin, end) are conversation text.
bool has_content(const String& text, std::size_t begin, std::size_t end);

/// Applies `each(character, out)`, or `each(character, out, place)`, to every character, where `out(bytes)` writes with the
/// character's mark.
template <class Each>
Value map_characters(Machine& machine, const String& text, Each each) {
  machine.spend(text.length / 8 + 1);
  TextBuilder out(machine);
  std::size_t span = 0;
  for (std::size_t at = 0; at < text.bytes.size() && !machine.failed();) {
    while (span < text.content.size() && text.content[span].end <= at) ++span;
    const bool content = span < text.content.size() && text.content[span].begin <= at;
    const auto write = [&](std::string_view bytes) { out.append(bytes, content); };
    if constexpr (std::is_invocable_v<Each&, char32_t, decltype(write), std::size_t>)
      each(character_at(text.bytes, at), write, at);
    else each(character_at(text.bytes, at), write);
    at += character_bytes(text.bytes[at]);
  }
  return out.finish(text.markup);
}

/// The first place of `part` in [from, end), in time proportional to both; npos where there is none.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t from);
/// The last place of `part` that lies in the text.
std::size_t find_last_text(std::string_view text, std::string_view part);

}  // namespace strata::text::jinja
