// Owns: the UTF-8 state machines. Source: The Unicode Standard 15.0, section 3.9, table 3-7.
#include "text/utf8.h"

#include <cstring>

namespace strata::text {

namespace {

constexpr bool continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

enum class Form { complete, unfinished, malformed };

struct StrictChar {
  Form form;
  std::size_t length;  ///< bytes of the character, or of the maximal subpart to replace
};

// Table 3-7: the second byte's range depends on the first; all later ones are 80..BF.
StrictChar strict_char(std::string_view bytes, std::size_t at) {
  auto lead = static_cast<unsigned char>(bytes[at]);
  if (lead < 0x80) return {Form::complete, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Form::malformed, 1};
  unsigned low = lead == 0xE0 ? 0xA0u : lead == 0xF0 ? 0x90u : 0x80u;
  unsigned high = lead == 0xED ? 0x9Fu : lead == 0xF4 ? 0x8Fu : 0xBFu;
  std::size_t need = announced_length(bytes[at]);
  for (std::size_t i = 1; i < need; ++i) {
    if (at + i == bytes.size()) return {Form::unfinished, i};
    auto byte = static_cast<unsigned char>(bytes[at + i]);
    if (byte < low || byte > high) return {Form::malformed, i};
    low = 0x80, high = 0xBF;
  }
  return {Form::complete, need};
}

}  // namespace

void append_utf8(std::string& out, char32_t code) {
  auto put = [&out](char32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6), put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 0x3F)), put(0x80 | (code >> 6 & 0x3F)), put(0x80 | (code & 0x3F));
  }
}

LooseChar loose_char(std::string_view bytes, std::size_t at) {
  auto lead = static_cast<unsigned char>(bytes[at]);
  if (lead < 0x80) return {lead, 1, true};
  std::size_t length = announced_length(bytes[at]);
  if (length == 1 || lead >= 0xF8 || bytes.size() - at < length) return {};
  char32_t code = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (!continuation(bytes[at + i])) return {};
    code = code << 6 | (static_cast<unsigned char>(bytes[at + i]) & 0x3Fu);
  }
  if (code > 0x10FFFF) return {0xFFFD, length, false};
  return {code, length, true};
}

bool valid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    for (std::uint64_t eight = 0; at + 8 <= bytes.size(); at += 8) {
      std::memcpy(&eight, bytes.data() + at, 8);
      if (eight & 0x8080808080808080u) break;
    }
    if (at == bytes.size()) break;
    StrictChar c = strict_char(bytes, at);
    if (c.form != Form::complete) return false;
    at += c.length;
  }
  return true;
}

std::string loosely_normalized(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    LooseChar c = loose_char(bytes, at);
    append_utf8(out, c.code);
    at += c.length;
  }
  return out;
}

void take_complete(std::string& bytes, std::string& out) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    StrictChar c = strict_char(bytes, at);
    if (c.form == Form::unfinished) break;
    if (c.form == Form::complete) {
      out.append(bytes, at, c.length);
    } else {
      out += replacement;
    }
    at += c.length;
  }
  bytes.erase(0, at);
}

}  // namespace strata::text
