// Owns: what the Unicode Character Database says of one character. Knows no encoding, no tokenizer and no template.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace strata::text {

/// Unicode's own abbreviations; Cn is unassigned.
enum class GeneralCategory : std::uint8_t {
  Cn, Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co
};
/// The first letter of the general category; `control` is all of C but the unassigned.
enum class Category : std::uint8_t { unassigned, letter, mark, number, punctuation, symbol, separator, control };

inline constexpr char32_t max_code = 0x10FFFF;

// --- of a character, `max_code` at most ---

GeneralCategory general_category(char32_t code);
Category category(GeneralCategory general);
inline Category category(char32_t code) { return category(general_category(code)); }
inline bool is_letter(char32_t code) { return category(code) == Category::letter; }
/// The properties White_Space, Uppercase and Lowercase.
bool is_white_space(char32_t code);
bool is_upper(char32_t code);
bool is_lower(char32_t code);
/// Numeric_Type: Decimal; that or Digit ("²"); any, also of letters ("一").
inline bool is_decimal(char32_t code) { return general_category(code) == GeneralCategory::Nd; }
bool is_digit(char32_t code);
bool is_numeric(char32_t code);

/// The simple lower-case mapping; `code` itself where there is none.
char32_t to_lower(char32_t code);
/// The full mappings: most give one character, a few up to three ("ß" is "SS" in capitals).
std::u32string lower_case(char32_t code);
std::u32string upper_case(char32_t code);
std::u32string title_case(char32_t code);
/// The first character of the canonical decomposition (NFD); `code` itself where there is none.
char32_t first_decomposed(char32_t code);

// --- of all characters, ascending ---

/// Characters [begin, end).
struct CodeRange {
  char32_t begin, end;
};
std::span<const CodeRange> white_space_ranges();
/// The characters of a category; ranges may touch.
std::vector<CodeRange> category_ranges(Category wanted);

}  // namespace strata::text
