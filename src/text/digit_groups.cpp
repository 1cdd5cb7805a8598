// Owns: the three ways of grouping digits.
#include "text/digit_groups.h"

#include "text/unicode.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

bool ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool ascii_word(char c) { return ascii_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// The bytes of the digit at `at`, or 0.
std::size_t digit_length(std::string_view text, std::size_t at, DigitGroups groups) {
  if (groups != DigitGroups::behind || static_cast<unsigned char>(text[at]) < 0x80) return ascii_digit(text[at]) ? 1 : 0;
  LooseChar c = loose_char(text, at);
  return category(c.code) == Category::number ? c.length : 0;
}

}  // namespace

void split_digits(std::string_view text, DigitGroups groups, std::vector<std::uint32_t>& ends) {
  std::size_t first = ends.size();
  auto cut = [&](std::size_t at) {
    if (at > 0 && (ends.size() == first || ends.back() < at)) ends.push_back(static_cast<std::uint32_t>(at));
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t digits = 0, begin = at;
    for (std::size_t length; at < text.size() && (length = digit_length(text, at, groups)) > 0; at += length) ++digits;
    if (digits == 0) {
      at += announced_length(text[at]);
      continue;
    }
    if (groups == DigitGroups::around && at < text.size() && ascii_word(text[at])) continue;
    if (groups == DigitGroups::around) cut(begin);
    std::size_t left = digits;
    for (std::size_t place = begin; left > 0; --left) {
      if (left % 3 == 0 && (left < digits || groups == DigitGroups::before)) cut(place);
      place += digit_length(text, place, groups);
    }
    if (groups != DigitGroups::before) cut(at);
  }
  cut(text.size());
}

}  // namespace strata::text
