// Owns: what Python's strings know of characters: case, letters, digits, spaces. Knows no strings.
// Source: The Unicode Standard 14.0 (UnicodeData.txt, SpecialCasing.txt); scripts/case-tables makes the tables.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace strata::text::jinja {

bool is_space(char32_t c);
bool is_printable(char32_t c);
bool is_letter(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
/// The characters of the other case; most are one, a few are up to three ("ß" is "SS" in capitals).
std::u32string upper(char32_t c);
std::u32string lower(char32_t c);
std::u32string title(char32_t c);

namespace tables {
struct Range {
  char32_t first, last;
};
/// Characters first, first + stride, ... last of one case; adding `delta` gives the other case.
struct CaseRun {
  char32_t first, last;
  char32_t stride;
  std::int32_t delta;
};
/// Characters whose other case is longer, or whose title case is not their upper case; unused places are 0.
struct SpecialCase {
  char32_t from;
  char32_t to[3];
};
std::span<const Range> letters();
std::span<const Range> unprintable();
std::span<const Range> decimals();
std::span<const Range> digits();
std::span<const Range> numerics();
std::span<const CaseRun> uppers();    ///< to upper case
std::span<const CaseRun> lowers();    ///< to lower case
std::span<const Range> odd_uppers();  ///< whose case is not told by their having another one
std::span<const Range> odd_lowers();
std::span<const SpecialCase> special_uppers();
std::span<const SpecialCase> special_titles();
}  // namespace tables

}  // namespace strata::text::jinja
