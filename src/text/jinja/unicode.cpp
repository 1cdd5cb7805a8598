// Owns: looking characters up in the tables.
#include "text/jinja/unicode.h"

#include <algorithm>
#include <cstdint>

namespace strata::text::jinja {

namespace {

bool in(std::span<const tables::Range> ranges, char32_t c) {
  auto at = std::partition_point(ranges.begin(), ranges.end(), [c](const tables::Range& r) { return r.last < c; });
  return at != ranges.end() && at->first <= c;
}

char32_t other_case(std::span<const tables::CaseRun> runs, char32_t c) {
  // Runs with stride 2 may lie inside each other, so the neighbours are looked at too.
  auto at = std::partition_point(runs.begin(), runs.end(), [c](const tables::CaseRun& r) { return r.first <= c; });
  for (int back = 0; back < 4 && at != runs.begin(); ++back) {
    --at;
    if (c <= at->last && (c - at->first) % at->stride == 0)
      return static_cast<char32_t>(static_cast<std::int32_t>(c) + at->delta);
  }
  return c;
}

const tables::SpecialCase* special(std::span<const tables::SpecialCase> cases, char32_t c) {
  auto at = std::partition_point(cases.begin(), cases.end(), [c](const tables::SpecialCase& s) { return s.from < c; });
  return at != cases.end() && at->from == c ? &*at : nullptr;
}

std::u32string text(const tables::SpecialCase& s) {
  std::u32string out;
  for (char32_t c : s.to)
    if (c != 0) out += c;
  return out;
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}
bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  return !in(tables::unprintable(), c);
}
bool is_letter(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  return in(tables::letters(), c);
}
bool is_decimal(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return in(tables::decimals(), c);
}
bool is_digit(char32_t c) { return is_decimal(c) || in(tables::digits(), c); }
bool is_numeric(char32_t c) { return is_digit(c) || in(tables::numerics(), c); }
bool is_upper(char32_t c) {
  return (other_case(tables::lowers(), c) != c) != (c >= 0x80 && in(tables::odd_uppers(), c));
}
bool is_lower(char32_t c) {
  const bool has_upper = other_case(tables::uppers(), c) != c || special(tables::special_uppers(), c) != nullptr;
  return has_upper != (c >= 0x80 && in(tables::odd_lowers(), c));
}

std::u32string upper(char32_t c) {
  if (c >= 0x80)
    if (const tables::SpecialCase* s = special(tables::special_uppers(), c)) return text(*s);
  return std::u32string(1, other_case(tables::uppers(), c));
}
std::u32string lower(char32_t c) {
  if (c == 0x130) return U"i\u0307";  // the one lower case of two characters
  return std::u32string(1, other_case(tables::lowers(), c));
}
std::u32string title(char32_t c) {
  if (c >= 0x80)
    if (const tables::SpecialCase* s = special(tables::special_titles(), c)) return text(*s);
  return upper(c);
}

}  // namespace strata::text::jinja
