// Owns: look-ups in the Unicode data.
#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <unordered_map>

#include "text/unicode_tables.h"

namespace strata::text {

namespace {

constexpr CodeRange white_space[] = {{0x09, 0x0E}, {0x20, 0x21}, {0x85, 0x86}, {0xA0, 0xA1}, {0x1680, 0x1681},
                                     {0x2000, 0x200B}, {0x2028, 0x202A}, {0x202F, 0x2030}, {0x205F, 0x2060},
                                     {0x3000, 0x3001}};

/// What a character is turned into, in ascending order of the characters.
struct Mapping {
  std::vector<char32_t> from, to;

  const char32_t* find(char32_t code) const {
    auto at = std::lower_bound(from.begin(), from.end(), code);
    return at != from.end() && *at == code ? &to[static_cast<std::size_t>(at - from.begin())] : nullptr;
  }
  char32_t operator()(char32_t code) const {
    const char32_t* found = find(code);
    return found ? *found : code;
  }
};

/// Of fours: first, last, step and difference.
Mapping case_mapping(std::span<const std::int32_t> fours) {
  Mapping out;
  for (; fours.size() >= 4; fours = fours.subspan(4)) {
    for (std::int32_t code = fours[0]; code <= fours[1]; code += fours[2]) {
      out.from.push_back(static_cast<char32_t>(code));
      out.to.push_back(static_cast<char32_t>(code + fours[3]));
    }
  }
  return out;
}

Mapping decomposition_mapping() {
  Mapping out;
  char32_t code = 0;
  for (std::size_t i = 0; i < std::size(tables::decomposed_first); ++i) {
    out.from.push_back(code += tables::decomposed_steps[i]);
    out.to.push_back(tables::decomposed_first[i]);
  }
  return out;
}

using Specials = std::unordered_map<char32_t, std::u32string>;

/// Of fours: a character and the two or three it becomes.
Specials special_cases(std::span<const std::uint16_t> fours) {
  Specials out;
  for (; fours.size() >= 4; fours = fours.subspan(4))
    for (std::size_t i = 1; i < 4 && fours[i] != 0; ++i) out[fours[0]] += static_cast<char32_t>(fours[i]);
  return out;
}

/// Of the characters where membership changes.
bool among(std::span<const std::uint32_t> changes, char32_t code) {
  return (std::upper_bound(changes.begin(), changes.end(), code) - changes.begin()) % 2 != 0;
}

template <class Visit>
void each_category_run(Visit visit) {
  char32_t begin = 0;
  for (std::uint32_t run : tables::category_runs) {
    const char32_t end = begin + (run >> 5);
    visit(CodeRange{begin, end}, static_cast<GeneralCategory>(run & 31));
    begin = end;
  }
}

using Categories = std::array<GeneralCategory, max_code + 1>;

std::unique_ptr<const Categories> all_categories() {
  auto out = std::make_unique<Categories>();
  each_category_run([&](CodeRange range, GeneralCategory general) {
    std::fill(out->begin() + range.begin, out->begin() + range.end, general);
  });
  return out;
}

}  // namespace

GeneralCategory general_category(char32_t code) {
  static const std::unique_ptr<const Categories> table = all_categories();
  return (*table)[code];
}

Category category(GeneralCategory general) {
  using enum GeneralCategory;
  if (general == Cn) return Category::unassigned;
  if (general <= Lo) return Category::letter;
  if (general <= Me) return Category::mark;
  if (general <= No) return Category::number;
  if (general <= Po) return Category::punctuation;
  if (general <= So) return Category::symbol;
  return general <= Zp ? Category::separator : Category::control;
}

bool is_white_space(char32_t code) {
  for (const CodeRange& range : white_space)
    if (code < range.end) return code >= range.begin;
  return false;
}

bool is_upper(char32_t code) {
  return general_category(code) == GeneralCategory::Lu || among(tables::other_upper_case, code);
}
bool is_lower(char32_t code) {
  return general_category(code) == GeneralCategory::Ll || among(tables::other_lower_case, code);
}
bool is_digit(char32_t code) { return is_decimal(code) || among(tables::other_digits, code); }
bool is_numeric(char32_t code) { return category(code) == Category::number || among(tables::other_numbers, code); }

char32_t to_lower(char32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  static const Mapping mapping = case_mapping(tables::lower_case);
  return mapping(code);
}

std::u32string lower_case(char32_t code) {
  if (code == 0x130) return U"i\u0307";  // the one lower case of two characters
  return std::u32string(1, to_lower(code));
}

std::u32string upper_case(char32_t code) {
  if (code < 0x80) return std::u32string(1, code >= 'a' && code <= 'z' ? code - 32 : code);
  static const Mapping mapping = case_mapping(tables::upper_case);
  if (const char32_t* simple = mapping.find(code)) return std::u32string(1, *simple);
  static const Specials specials = special_cases(tables::special_upper_case);
  const auto special = specials.find(code);
  return special == specials.end() ? std::u32string(1, code) : special->second;
}

std::u32string title_case(char32_t code) {
  static const Mapping mapping = case_mapping(tables::title_case);
  if (const char32_t* simple = mapping.find(code)) return std::u32string(1, *simple);
  static const Specials specials = special_cases(tables::special_title_case);
  const auto special = specials.find(code);
  return special == specials.end() ? upper_case(code) : special->second;
}

char32_t first_decomposed(char32_t code) {
  if (code < 0xC0) return code;
  if (code >= 0xAC00 && code <= 0xD7A3) return 0x1100 + (code - 0xAC00) / 588;  // Hangul: Unicode 3.12
  static const Mapping mapping = decomposition_mapping();
  return mapping(code);
}

std::span<const CodeRange> white_space_ranges() { return white_space; }

std::vector<CodeRange> category_ranges(Category wanted) {
  std::vector<CodeRange> out;
  each_category_run([&](CodeRange range, GeneralCategory general) {
    if (category(general) == wanted) out.push_back(range);
  });
  return out;
}

}  // namespace strata::text
