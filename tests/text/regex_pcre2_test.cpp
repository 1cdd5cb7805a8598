// Owns: agreement of the text layer's regular expressions and Unicode data with PCRE2's. Built where PCRE2 is found.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <set>
#include <stdexcept>

#include "text/pretokenizers.h"
#include "text/regex.h"
#include "text/unicode.h"
#include "text/vocabularies.h"

namespace strata::test {

namespace {

using Ends = std::vector<std::uint32_t>;

/// PCRE2's own \s also holds U+180E, which Unicode took out of White_Space in 6.3; so it is spelt out.
std::string with_white_space(std::string_view pattern) {
  const std::string space = R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  std::string out;
  bool in_set = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i], next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (c == '\\' && next == 's') {
      out += in_set ? space : "[" + space + "]";
      ++i;
    } else if (c == '\\' && next == 'S') {
      REQUIRE(!in_set);
      out += "[^" + space + "]";
      ++i;
    } else if (c == '\\') {
      out += c, out += next;
      ++i;
    } else {
      in_set = c == '[' || (in_set && c != ']');
      out += c;
    }
  }
  return out;
}

class Pcre2 {
 public:
  explicit Pcre2(std::string_view pattern) {
    std::string source = with_white_space(pattern);
    int error = 0;
    PCRE2_SIZE at = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
    if (code_ == nullptr) throw std::runtime_error("PCRE2 refuses " + source);
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);
    data_ = pcre2_match_data_create(1, nullptr);
  }
  Pcre2(const Pcre2&) = delete;
  Pcre2& operator=(const Pcre2&) = delete;
  ~Pcre2() {
    pcre2_match_data_free(data_);
    pcre2_code_free(code_);
  }

  /// Cuts at both ends of every match.
  Ends split(std::string_view text) const {
    Ends ends;
    std::size_t done = 0, at = 0;
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data_);
    while (at < text.size()) {
      int rc = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                           at == 0 ? 0 : PCRE2_NO_UTF_CHECK, data_, nullptr);
      if (rc == PCRE2_ERROR_NOMATCH) break;
      if (rc < 0 || span[0] == span[1]) throw std::runtime_error("PCRE2 failed, or matched nothing");
      if (span[0] > done) ends.push_back(static_cast<std::uint32_t>(span[0]));
      ends.push_back(static_cast<std::uint32_t>(span[1]));
      at = done = span[1];
    }
    if (done < text.size()) ends.push_back(static_cast<std::uint32_t>(text.size()));
    return ends;
  }

 private:
  pcre2_code* code_ = nullptr;
  pcre2_match_data* data_ = nullptr;
};

std::string utf8_of(char32_t code) {
  std::string out;
  text::append_utf8(out, code);
  return out;
}

/// The characters whose category the two see differently: they know different versions of Unicode.
const std::set<char32_t>& disputed() {
  static const std::set<char32_t> out = [] {
    std::set<char32_t> found;
    for (auto [letter, category] : {std::pair{'L', text::Category::letter}, std::pair{'M', text::Category::mark},
                                    std::pair{'N', text::Category::number}, std::pair{'P', text::Category::punctuation},
                                    std::pair{'S', text::Category::symbol}}) {
      Pcre2 single(std::string("\\p{") + letter + "}");
      for (char32_t code = 1; code < 0xE0200; code += code < 0x33000 || code >= 0xE0000 ? 1 : 0x100) {
        if (code >= 0xD800 && code < 0xE000) continue;
        bool theirs = single.split("\x01" + utf8_of(code) + "\x01").size() == 3;
        if (theirs != (text::category(code) == category)) found.insert(code);
      }
    }
    return found;
  }();
  return out;
}

/// Words, numbers, contractions and signs of the kinds that patterns tell apart, next to anything at all.
std::string random_words(std::mt19937& random) {
  static const std::vector<std::string> parts = {
      "'s", "'T", "'re", "'VE", "'ll", "'", " ", "  ", "    ", "\n", "\r\n", "\t", "12", "3", "4567", "\xC2\xA0", "\xE3\x80\x80",
      "\xCC\x81", "Word", "wORD", "\xC3\x89t\xC3\xA9", "\xE4\xBD\xA0\xE5\xA5\xBD", "\xED\x95\x9C", "!", "...", "~", "/", "<sentinel:7>",
      "IMGIMGABZ", "\xEF\xBC\x81", "\xE2\x80\xA6", "\xC2\xB2", "\xD9\xA3", "\xCE\xA9", "\xC7\x85"};
  std::string out;
  for (unsigned n = 1 + random() % 30; n > 0; --n) out += random() % 3 ? parts[random() % parts.size()] : random_text(random, 2);
  return out;
}

std::string without_disputed(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    text::LooseChar c = text::loose_char(text, at);
    if (!disputed().contains(c.code)) out.append(text, at, c.length);
    at += c.length;
  }
  return out;
}

}  // namespace

TEST_CASE("the Unicode data agrees with PCRE2's, but for characters that are new to one of them") {
  CHECK(disputed().size() < 12000);
  Pcre2 known(R"([\p{L}\p{M}\p{N}\p{P}\p{S}])");
  for (char32_t code : disputed()) {
    bool theirs = known.split("\x01" + utf8_of(code) + "\x01").size() == 3;
    INFO("U+" << std::hex << static_cast<std::uint32_t>(code));
    CHECK((!theirs || text::category(code) == text::Category::unassigned));
  }
}

TEST_CASE("every pre-tokenizer's patterns cut as PCRE2 does") {
  std::mt19937 random(5);
  std::set<std::string_view> done;
  for (const text::PreTokenizer& row : text::pretokenizers()) {
    for (const text::Cut& cut : row.cuts) {
      if (cut.digits != text::DigitGroups::none || !done.insert(cut.pattern).second) continue;
      text::Regex ours = text::Regex::compile(cut.pattern).value_or_throw();
      Pcre2 theirs(cut.pattern);
      for (int round = 0; round < 400; ++round) {
        std::string text = without_disputed(random_words(random));
        INFO(row.name << ": " << cut.pattern << ": '" << text << "'");
        Ends ends;
        ours.split(text, ends);
        CHECK(ends == theirs.split(text));
      }
    }
  }
  CHECK(done.size() > 30);
}

}  // namespace strata::test
