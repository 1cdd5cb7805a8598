// Owns: look-ups in the Unicode data.
#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace strata::text {

namespace {

constexpr CodeRange white_space[] = {{0x09, 0x0E}, {0x20, 0x21}, {0x85, 0x86}, {0xA0, 0xA1}, {0x1680, 0x1681},
                                     {0x2000, 0x200B}, {0x2028, 0x202A}, {0x202F, 0x2030}, {0x205F, 0x2060},
                                     {0x3000, 0x3001}};

/// What a character is turned into, in ascending order of the characters.
struct Mapping {
  std::vector<char32_t> from, to;

  char32_t operator()(char32_t code) const {
    auto at = std::lower_bound(from.begin(), from.end(), code);
    return at != from.end() && *at == code ? to[static_cast<std::size_t>(at - from.begin())] : code;
  }
};

Mapping lower_case_mapping() {
  Mapping out;
  for (std::size_t i = 0; i + 3 < std::size(tables::lower_case); i += 4) {
    const std::int32_t* row = tables::lower_case + i;
    for (std::int32_t code = row[0]; code <= row[1]; code += row[2]) {
      out.from.push_back(static_cast<char32_t>(code));
      out.to.push_back(static_cast<char32_t>(code + row[3]));
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

using Categories = std::array<Category, max_code + 1>;

std::unique_ptr<const Categories> all_categories() {
  auto out = std::make_unique<Categories>();
  each_category_run([&](CodeRange range, Category c) { std::fill(out->begin() + range.begin, out->begin() + range.end, c); });
  return out;
}

}  // namespace

Category category(char32_t code) {
  static const std::unique_ptr<const Categories> table = all_categories();
  return (*table)[code];
}

bool is_white_space(char32_t code) {
  for (const CodeRange& range : white_space)
    if (code < range.end) return code >= range.begin;
  return false;
}

char32_t to_lower(char32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  static const Mapping mapping = lower_case_mapping();
  return mapping(code);
}

char32_t first_decomposed(char32_t code) {
  if (code < 0xC0) return code;
  if (code >= 0xAC00 && code <= 0xD7A3) return 0x1100 + (code - 0xAC00) / 588;  // Hangul: Unicode 3.12
  static const Mapping mapping = decomposition_mapping();
  return mapping(code);
}

std::span<const CodeRange> white_space_ranges() { return white_space; }

}  // namespace strata::text
