// Owns: agreement of the Unicode data with utf8proc's, character by character. Built where utf8proc is found, of whatever
// version: the library has data of its own because ids and prompts must not depend on that version.
#include <utf8proc.h>

#include <cstdio>
#include <string>
#include <vector>

#include "support/catch.h"
#include "text/unicode.h"

namespace strata::test {

namespace {

/// major * 100 + minor; the library's data is that of 15.1.
constexpr int our_version = 1501;
int their_version() {
  int major = 0, minor = 0;
  REQUIRE(std::sscanf(utf8proc_unicode_version(), "%d.%d", &major, &minor) == 2);
  return major * 100 + minor;
}

/// Those that got another category after Unicode 13 although they were there before: the version that did it.
int revised_in(char32_t code) { return code == 0x1734 ? 1400 : code == 0x1171E ? 1600 : code == 0x295 ? 1700 : 0; }

/// Assigned in the newer of the two versions alone.
bool is_new(char32_t code) {
  const bool ours = text::general_category(code) != text::GeneralCategory::Cn;
  const bool theirs = utf8proc_category(static_cast<utf8proc_int32_t>(code)) != UTF8PROC_CATEGORY_CN;
  return ours != theirs && ours == (our_version > their_version());
}

bool same_category(char32_t code) {
  // Both count in the order of the Unicode Standard.
  if (static_cast<int>(text::general_category(code)) == utf8proc_category(static_cast<utf8proc_int32_t>(code))) return true;
  return is_new(code) || (revised_in(code) > our_version) != (revised_in(code) > their_version());
}

/// Equal, or one version's data cannot name a character of the other's.
bool same_character(char32_t code, char32_t ours, utf8proc_int32_t theirs) {
  return ours == static_cast<char32_t>(theirs) || is_new(code) || is_new(ours) || is_new(static_cast<char32_t>(theirs));
}

/// utf8proc knows the case of single characters and what texts have in common whatever their case.
std::u32string folded(const std::u32string& text) {
  std::u32string out;
  for (char32_t code : text) {
    utf8proc_int32_t parts[32];
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 32,
                                               static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD), nullptr);
    REQUIRE((count > 0 && count <= 32));
    out.append(parts, parts + count);
  }
  return out;
}
bool same_text(char32_t code, const std::u32string& ours, utf8proc_int32_t theirs) {
  if (ours.size() == 1) return same_character(code, ours[0], theirs);
  return is_new(code) || folded(ours) == folded(std::u32string(1, code));
}

template <class Agrees>
void for_every_character(Agrees agrees) {
  std::vector<std::string> wrong;
  for (char32_t code = 0; code <= text::max_code; ++code) {
    if (agrees(code)) continue;
    char name[16];
    std::snprintf(name, sizeof name, "U+%04X", static_cast<unsigned>(code));
    wrong.emplace_back(name);
  }
  if (wrong.size() > 20) wrong.resize(20);
  CHECK(wrong == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("categories agree with utf8proc's") {
  UNSCOPED_INFO("utf8proc knows Unicode " << utf8proc_unicode_version());
  for_every_character(same_category);
}

TEST_CASE("case mappings agree with utf8proc's") {
  for_every_character([](char32_t code) {
    return same_character(code, text::to_lower(code), utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  });
  for_every_character([](char32_t code) {
    return same_text(code, text::lower_case(code), utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  });
  for_every_character([](char32_t code) {
    return same_text(code, text::upper_case(code), utf8proc_toupper(static_cast<utf8proc_int32_t>(code)));
  });
  for_every_character([](char32_t code) {
    return same_text(code, text::title_case(code), utf8proc_totitle(static_cast<utf8proc_int32_t>(code)));
  });
}

TEST_CASE("decompositions agree with utf8proc's") {
  for_every_character([](char32_t code) {
    utf8proc_int32_t parts[32];
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), parts, 32, UTF8PROC_DECOMPOSE, nullptr);
    return count > 0 && same_character(code, text::first_decomposed(code), parts[0]);
  });
}

}  // namespace strata::test
