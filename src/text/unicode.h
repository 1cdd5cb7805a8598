// Owns: what the Unicode Character Database says of one character. Knows no encoding and no tokenizer.
#pragma once

#include <cstdint>
#include <span>

namespace strata::text {

/// The first letter of the general category; `control` is all of C but the unassigned.
enum class Category : std::uint8_t { unassigned, letter, mark, number, punctuation, symbol, separator, control };

inline constexpr char32_t max_code = 0x10FFFF;

/// `max_code` at most.
Category category(char32_t code);
/// The property White_Space.
bool is_white_space(char32_t code);
/// The simple lower-case mapping; `code` itself where there is none.
char32_t to_lower(char32_t code);
/// The first character of the canonical decomposition (NFD); `code` itself where there is none.
char32_t first_decomposed(char32_t code);

/// Characters [begin, end).
struct CodeRange {
  char32_t begin, end;
};
/// White_Space, ascending.
std::span<const CodeRange> white_space_ranges();
/// Calls `visit(range, category)` for every character, in ascending runs.
template <class Visit>
void each_category_run(Visit visit);

}  // namespace strata::text

#include "text/unicode_tables.h"

namespace strata::text {

template <class Visit>
void each_category_run(Visit visit) {
  char32_t begin = 0;
  for (std::uint16_t run : tables::category_runs) {
    char32_t end = begin + (run >> 3);
    visit(CodeRange{begin, end}, static_cast<Category>(run & 7));
    begin = end;
  }
}

}  // namespace strata::text
