// Owns: the parts of the text layer on their own: UTF-8, partition, regular expressions, merging, clean-up, streams.
#include <algorithm>

#include "text/clean_spaces.h"
#include "text/merge.h"
#include "text/pretokenizers.h"
#include "text/regex.h"
#include "text/special.h"
#include "text/unicode.h"
#include "text/vocabularies.h"

namespace strata::test {

namespace {

using text::TokenTable;
using text::TokenType;

std::vector<std::string> pieces(const text::Regex& regex, std::string_view text) {
  std::vector<std::uint32_t> ends;
  regex.split(text, ends);
  std::vector<std::string> out;
  std::size_t begin = 0;
  for (std::uint32_t end : ends) {
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

using Pieces = std::vector<std::string>;

/// The definition: each token, longest first, is split out of all raw fragments from left to right; control and unknown
/// tokens only where they touch no content.
std::vector<std::pair<std::string, int>> slow_partition(const TokenTable& table, const std::string& text, bool control,
                                                        const std::vector<text::ByteRange>& content) {
  std::vector<int> order;
  for (int id = 0; id < table.size(); ++id) {
    TokenType type = table.type(id);
    if (type == TokenType::user_defined || (control && (type == TokenType::control || type == TokenType::unknown)))
      order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return table.text(a).size() > table.text(b).size(); });
  struct Part {
    std::string text;
    int owner;
    std::size_t at;
  };
  std::vector<Part> parts{{text, -1, 0}};
  for (int id : order) {
    std::vector<Part> next;
    std::string token(table.text(id));
    auto allowed = [&](std::size_t at) {
      if (table.type(id) == TokenType::user_defined) return true;
      return std::none_of(content.begin(), content.end(),
                          [&](const text::ByteRange& r) { return r.begin < at + token.size() && at < r.end; });
    };
    for (Part& part : parts) {
      if (part.owner >= 0) {
        next.push_back(part);
        continue;
      }
      std::size_t done = 0;
      for (std::size_t hit = 0; (hit = part.text.find(token, hit)) != std::string::npos;) {
        if (!allowed(part.at + hit)) {
          ++hit;
          continue;
        }
        if (hit > done) next.push_back({part.text.substr(done, hit - done), -1, part.at + done});
        next.push_back({token, id, part.at + hit});
        done = hit += token.size();
      }
      if (done < part.text.size()) next.push_back({part.text.substr(done), -1, part.at + done});
    }
    parts = std::move(next);
  }
  std::vector<std::pair<std::string, int>> out;
  for (const Part& part : parts) out.emplace_back(part.text, part.owner);
  return out;
}

}  // namespace

TEST_CASE("UTF-8 reads and writes every character") {
  for (char32_t code = 0; code <= 0x10FFFF; code += code < 0x3000 ? 1 : 97) {
    std::string bytes;
    text::append_utf8(bytes, code);
    text::LooseChar c = text::loose_char(bytes, 0);
    CHECK((c.ok && c.code == code && c.length == bytes.size() && text::announced_length(bytes[0]) == bytes.size()));
    bool surrogate = code >= 0xD800 && code < 0xE000;
    CHECK(text::valid_utf8(bytes) == !surrogate);
  }
  CHECK(text::loosely_normalized("ok \xC0\xAF") == "ok /");
  CHECK(text::loosely_normalized("\xFF\xE4\xBD") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(text::loosely_normalized("\xED\xA0\x80") == "\xED\xA0\x80");
  CHECK(text::loosely_normalized("\xF7\xBF\xBF\xBF!") == "\xEF\xBF\xBD!");
}

TEST_CASE("streams hold unfinished characters back and replace broken ones") {
  auto complete = [](std::string bytes) {
    std::string out;
    text::take_complete(bytes, out);
    return std::pair(out, bytes);
  };
  using Pair = std::pair<std::string, std::string>;
  CHECK(complete("a\xE4\xBD") == Pair("a", "\xE4\xBD"));
  CHECK(complete("\xF0\x9F\x98\x80\xF0\x9F\x98") == Pair("\xF0\x9F\x98\x80", "\xF0\x9F\x98"));
  CHECK(complete("\xE4\xBDz") == Pair("\xEF\xBF\xBDz", ""));
  CHECK(complete("\x80\xC0\xFF") == Pair("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", ""));
  // Table 3-8 of the Unicode standard: one U+FFFD per maximal subpart.
  CHECK(complete("a\xF1\x80\x80\xE1\x80\xC2z").first == "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  CHECK(complete("\xED\xA0\x80").first == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");

  std::deque<std::string> texts;
  auto tokenizer = text::Tokenizer::create(piece_vocabulary(texts)).value_or_throw();
  text::StreamDecoder decoder(*tokenizer);
  auto byte = [](int value) { return 3 + value; };
  CHECK(decoder.push(byte(0xE4)) == "");
  CHECK(decoder.push(byte(0xBD)) == "");
  CHECK(decoder.push(byte(0xA0)) == "\xE4\xBD\xA0");
  CHECK(decoder.push(byte(0xE4)) == "");
  CHECK(decoder.push(byte('a')) == "\xEF\xBF\xBD" "a");
  CHECK(decoder.push(byte(0xF0)) == "");
  CHECK(decoder.push(1) == "");
  CHECK(decoder.finish() == "\xEF\xBF\xBD");
  CHECK(decoder.finish() == "");

  // The space prefix goes at the start of a text only.
  text::Vocabulary spaced = piece_vocabulary(texts, {"\xE2\x96\x81" "a"});
  auto spaces = text::Tokenizer::create(spaced).value_or_throw();
  text::StreamDecoder begins(*spaces), continues(*spaces, false, true);
  CHECK(begins.push(259) == "a");
  CHECK(begins.push(259) == " a");
  CHECK(continues.push(259) == " a");
}

TEST_CASE("the partition equals its definition") {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::deque<std::string> storage;
    std::vector<std::string_view> texts{"unused"};
    std::vector<TokenType> types{TokenType::normal};
    for (int i = 0, count = 1 + static_cast<int>(random() % 7); i < count; ++i) {
      std::string text;
      for (unsigned n = 1 + random() % 5; n > 0; --n) text += "ab\xFF"[random() % 3];
      if (std::find(texts.begin(), texts.end(), text) != texts.end()) continue;
      texts.push_back(storage.emplace_back(text));
      types.push_back(static_cast<TokenType>(2 + random() % 3));
    }
    TokenTable table = TokenTable::create(texts, types).value_or_throw();
    text::SpecialTokens special(table);
    std::string text;
    for (unsigned n = random() % 30; n > 0; --n) text += "aab\xFF"[random() % 4];
    std::vector<text::ByteRange> content;
    for (std::size_t at = random() % 8; round % 2 && at < text.size(); at += 1 + random() % 5) {
      const std::size_t end = std::min(text.size(), at + 1 + random() % 6);
      content.push_back({at, end});
      at = end;
    }
    for (bool control : {false, true}) {
      std::vector<std::pair<std::string, int>> got;
      for (const text::Fragment& f : special.partition(text, control, content)) got.emplace_back(std::string(f.text), f.token);
      auto expected = slow_partition(table, text, control, content);
      if (text.empty()) expected.clear();
      INFO("round " << round << " text " << text);
      CHECK(got == expected);
    }
  }
}

TEST_CASE("merging takes the lowest rank first, then the leftmost") {
  std::map<std::string, double> ranks{{"ab", 2}, {"bc", 1}, {"aa", 3}, {"aaaa", 4}, {"abc", 5}};
  auto merged = [&](const std::string& text) {
    text::Merger merger;
    merger.start(text);
    for (std::size_t i = 0; i < text.size(); ++i) merger.add(1);
    merger.merge([&](std::string_view l, std::string_view r) -> std::optional<double> {
      auto it = ranks.find(std::string(l) + std::string(r));
      if (it == ranks.end()) return std::nullopt;
      return it->second;
    });
    Pieces out;
    merger.each([&](std::string_view s) { out.emplace_back(s); });
    return out;
  };
  CHECK(merged("") == Pieces{});
  CHECK(merged("abc") == Pieces{"abc"});
  CHECK(merged("aaaaa") == Pieces{"aaaa", "a"});
  CHECK(merged("aab") == Pieces{"a", "ab"});
  CHECK(merged("xyz") == Pieces{"x", "y", "z"});
}

TEST_CASE("clean-up of spaces") {
  CHECK(text::clean_spaces("a , b . c ! d ?") == "a, b. c! d?");
  CHECK(text::clean_spaces("it 's we 've I 'm they 're I 'd he 'll don 't") == "it's we've I'm they're I 'd he 'll don 't");
  CHECK(text::clean_spaces("rock ' n") == "rock'n");
  CHECK(text::clean_spaces("a  . ") == "a . ");
  CHECK(text::clean_spaces("") == "");
  CHECK(text::clean_spaces(" '") == " '");
}

TEST_CASE("regular expressions cut texts, gaps included") {
  auto words = text::Regex::compile(R"(\p{L}+)").value_or_throw();
  CHECK(pieces(words, "ab 1cd") == Pieces{"ab", " 1", "cd"});
  CHECK(pieces(words, "") == Pieces{});
  CHECK(pieces(words, "12") == Pieces{"12"});
  auto empty = text::Regex::compile("x*").value_or_throw();
  CHECK(pieces(empty, "a\xC3\xA4xx\xC3\xA4") == Pieces{"a\xC3\xA4", "xx", "\xC3\xA4"});
  auto space = text::Regex::compile(R"([\s])").value_or_throw();
  CHECK(pieces(space, "a\xC2\x85z\xE1\xA0\x8Ez\xE3\x80\x80z") ==
        Pieces{"a", "\xC2\x85", "z\xE1\xA0\x8Ez", "\xE3\x80\x80", "z"});
  CHECK(pieces(words, "a\xFF") == Pieces{"a", "\xFF"});
  CHECK(!text::Regex::compile("(a"));
}

TEST_CASE("pre-tokenizers and their aliases") {
  for (const char* name : {"llama3", "llama-v3"}) {
    const text::PreTokenizer* row = text::find_pretokenizer(name);
    REQUIRE(row != nullptr);
    CHECK((row->ignore_merges && row->add_bos));
    CHECK(row->cuts[0].pattern == text::find_pretokenizer("llama-bpe")->cuts[0].pattern);
  }
  CHECK(text::find_pretokenizer("deepseek-r1-qwen")->cuts[0].pattern == text::find_pretokenizer("qwen2")->cuts[0].pattern);
  CHECK(text::find_pretokenizer("") == text::find_pretokenizer("default"));
  auto llama = text::Regex::compile(text::find_pretokenizer("llama-bpe")->cuts[0].pattern).value_or_throw();
  CHECK(pieces(llama, "I'LL pay 12345  now\n\n x") == Pieces{"I", "'LL", " pay", " ", "123", "45", " ", " now", "\n\n", " x"});
}

TEST_CASE("patterns that are wrong are refused with the place") {
  for (const char* pattern : {"(a", "a)", "[a", "*a", "a{2,1}", "a{}", "a{9999}", "\\q", "\\p{X}", "\\x{110000}", "\\x{", "(?!ab)", "a\\",
                              "[z-a]", "[\\"}) {
    auto refused = text::Regex::compile(pattern);
    INFO(pattern);
    REQUIRE(!refused);
    CHECK(refused.error().message.starts_with("regular expression: "));
  }
}

TEST_CASE("look-ahead, counts and preference work as Perl's") {
  auto cut = [](const char* pattern, std::string_view text) { return pieces(text::Regex::compile(pattern).value_or_throw(), text); };
  CHECK(cut("a|ab", "ab") == Pieces{"a", "b"});
  CHECK(cut("ab|a", "aab") == Pieces{"a", "ab"});
  CHECK(cut("a{2,3}", "aaaaaaa") == Pieces{"aaa", "aaa", "a"});
  CHECK(cut("a{2}b?", "aaaab") == Pieces{"aa", "aab"});
  CHECK(cut(R"(\s+(?!\S)|\s+)", "a   b  ") == Pieces{"a", "  ", " ", "b", "  "});
  CHECK(cut(R"(\s+\z)", "a b  ") == Pieces{"a b", "  "});
  CHECK(cut("(?:(?![a-z])\\p{L})+", "ABcD") == Pieces{"AB", "c", "D"});
  CHECK(cut("x(?=y)", "xxy") == Pieces{"x", "x", "y"});
  CHECK(cut("(?:a|b)*c|b", "abab") == Pieces{"a", "b", "a", "b"});
}

TEST_CASE("digits are grouped from the right") {
  auto cut = [](text::DigitGroups groups, std::string_view text) {
    std::vector<std::uint32_t> ends;
    text::split_digits(text, groups, ends);
    Pieces out;
    std::size_t begin = 0;
    for (std::uint32_t end : ends) {
      out.emplace_back(text.substr(begin, end - begin));
      begin = end;
    }
    return out;
  };
  using text::DigitGroups;
  CHECK(cut(DigitGroups::behind, "ab1234567 89x") == Pieces{"ab1", "234", "567", " 89", "x"});
  CHECK(cut(DigitGroups::behind, "\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4") == Pieces{"\xD9\xA1", "\xD9\xA2\xD9\xA3\xD9\xA4"});
  CHECK(cut(DigitGroups::before, "ab1234567x") == Pieces{"ab1", "234", "567x"});
  CHECK(cut(DigitGroups::before, "123") == Pieces{"123"});
  CHECK(cut(DigitGroups::around, "a1234 12b 5") == Pieces{"a", "1", "234", " 12b ", "5"});
}

TEST_CASE("Unicode data by examples") {
  CHECK(text::category('a') == text::Category::letter);
  CHECK(text::category(0x300) == text::Category::mark);
  CHECK(text::category(0xB2) == text::Category::number);
  CHECK(text::category('~') == text::Category::symbol);
  CHECK(text::category(0x2028) == text::Category::separator);
  CHECK(text::category(0xE000) == text::Category::control);
  CHECK(text::category(0x378) == text::Category::unassigned);
  CHECK(text::category(0x2EBF0) == text::Category::letter);
  CHECK(text::category(0x10FFFF) == text::Category::unassigned);
  CHECK((text::is_white_space(0x3000) && text::is_white_space(0x85) && !text::is_white_space(0x180E)));
  CHECK((text::to_lower(U'É') == U'é' && text::to_lower(0x130) == 'i' && text::to_lower(0x10400) == 0x10428));
  CHECK((text::to_lower('z') == 'z' && text::to_lower(0x1E9E) == 0xDF));
  CHECK((text::upper_case(U'ß') == U"SS" && text::title_case(U'ß') == U"Ss" && text::lower_case(0x130) == U"i\u0307"));
  CHECK((text::upper_case(0x1C6) == U"\u01C4" && text::title_case(0x1C6) == U"\u01C5" && text::upper_case('z') == U"Z"));
  CHECK((text::upper_case(0x10D0) == U"\u1C90" && text::title_case(0x10D0) == U"\u10D0"));
  CHECK((text::is_upper(0x24B6) && !text::is_upper(0x1C5) && text::is_lower(0xAA) && !text::is_lower('A')));
  CHECK((text::is_digit(0xB2) && !text::is_decimal(0xB2) && text::is_decimal(0x661) && !text::is_digit(0x4E00)));
  CHECK((text::is_numeric(0x4E00) && text::is_numeric(0xBD) && text::is_numeric('7') && !text::is_numeric(0x4E01)));
  CHECK((text::first_decomposed(U'é') == 'e' && text::first_decomposed(0x1EC7) == 'e'));
  CHECK((text::first_decomposed(0xAC01) == 0x1100 && text::first_decomposed(0x2F800) == 0x4E3D && text::first_decomposed('e') == 'e'));
}

}  // namespace strata::test
