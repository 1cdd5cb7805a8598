// Owns: what holds for every text: round trips, whole characters in streams, time, and no crash on any bytes.
#include <algorithm>
#include <ctime>

#include "text/clean_spaces.h"
#include "text/pretokenizers.h"
#include "text/regex.h"
#include "text/vocabularies.h"

namespace strata::test {

namespace {

using text::StreamDecoder;
using text::Tokenizer;

struct Named {
  const char* file;
  const char* pre;
  bool cleans = false;  ///< decode removes spaces
  bool marks = false;   ///< U+2581 stands for a space
};
constexpr Named vocabularies[] = {{.file = "ggml-vocab-llama-spm.gguf", .pre = "", .marks = true},
                                  {.file = "ggml-vocab-phi-3.gguf", .pre = "", .marks = true},
                                  {.file = "ggml-vocab-gemma-4.gguf", .pre = "", .cleans = true, .marks = true},
                                  {.file = "ggml-vocab-llama-bpe.gguf", .pre = "", .cleans = true},
                                  {.file = "ggml-vocab-qwen35.gguf", .pre = ""},
                                  {.file = "ggml-vocab-qwen35.gguf", .pre = "qwen2"},
                                  {.file = "ggml-vocab-deepseek-llm.gguf", .pre = ""},
                                  {.file = "ggml-vocab-gpt-2.gguf", .pre = "", .cleans = true}};

std::string stream(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  StreamDecoder decoder(tokenizer, true);
  std::string out;
  for (std::int32_t id : ids) {
    std::string piece = decoder.push(id);
    CHECK(text::valid_utf8(piece));
    out += piece;
  }
  std::string rest = decoder.finish();
  CHECK(text::valid_utf8(rest));
  return out + rest;
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// A megabyte takes 1.2 s at most on one core of 2.1 GHz. What is quadratic in the text takes minutes.
#if defined(__has_feature)
#define STRATA_TEST_FEATURE(x) __has_feature(x)
#else
#define STRATA_TEST_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || STRATA_TEST_FEATURE(address_sanitizer) || \
    STRATA_TEST_FEATURE(thread_sanitizer) || !defined(NDEBUG)
constexpr double limit = 60;  // instrumented or not optimised
constexpr std::size_t bytes = std::size_t{1} << 18;
#else
constexpr double limit = 5;
constexpr std::size_t bytes = std::size_t{1} << 20;
#endif

std::string repeated(const std::string& unit, std::size_t size) {
  std::string out;
  while (out.size() < size) out += unit;
  return out;
}

}  // namespace

TEST_CASE("encode then decode gives the text back, whole and as a stream") {
  std::mt19937 random(7);
  for (const Named& named : vocabularies) {
    const Tokenizer* tokenizer = shared_tokenizer(named.file, named.pre);
    if (tokenizer == nullptr) return;
    for (int round = 0; round < 300; ++round) {
      std::string text = random_text(random, round % 3 == 0 ? 6 : 120);
      // SentencePiece cannot tell its mark from a space.
      if (named.marks && text.find(text::space_mark) != std::string::npos) continue;
      INFO(named.file << " " << named.pre << " round " << round << ": " << text);
      auto ids = tokenizer->encode(text, {.add_special = false, .parse_special = true}).value_or_throw();
      CHECK(tokenizer->decode(ids, true) == (named.cleans ? text::clean_spaces(text) : text));
      CHECK(stream(*tokenizer, ids) == text);
    }
  }
}

TEST_CASE("any bytes encode, and streams stay valid UTF-8") {
  std::mt19937 random(11);
  for (const Named& named : vocabularies) {
    const Tokenizer* tokenizer = shared_tokenizer(named.file, named.pre);
    if (tokenizer == nullptr) return;
    for (int round = 0; round < 300; ++round) {
      std::string text = random_bytes(random, 1 + round % 90);
      auto ids = tokenizer->encode(text, {.add_special = round % 2 == 0, .parse_special = round % 3 == 0}).value_or_throw();
      CHECK(!ids.empty());
      CHECK(std::all_of(ids.begin(), ids.end(), [&](int id) { return id >= 0 && id < tokenizer->size(); }));
      stream(*tokenizer, ids);
      // Any ids decode, too: those of no text, and those of no token.
      std::vector<std::int32_t> noise;
      for (int i = 0; i < 40; ++i) noise.push_back(static_cast<std::int32_t>(random() % (tokenizer->size() + 100)) - 50);
      stream(*tokenizer, noise);
      tokenizer->decode(noise, round % 2 == 0);
    }
  }
}

TEST_CASE("a SentencePiece stream of any bytes gives the very bytes back") {
  std::mt19937 random(13);
  const Tokenizer* tokenizer = shared_tokenizer("ggml-vocab-llama-spm.gguf");
  if (tokenizer == nullptr) return;
  for (int round = 0; round < 300; ++round) {
    std::string text = random_bytes(random, 40);
    // A stray lead byte takes the mark of a following space with it; the reference does the same.
    std::replace(text.begin(), text.end(), ' ', 'x');
    auto ids = tokenizer->encode("x" + text, {.add_special = false, .parse_special = false}).value_or_throw();
    CHECK(tokenizer->decode(ids, true) == "x" + text);
  }
}

TEST_CASE("a megabyte of anything takes seconds at most") {
  const std::string units[] = {"a", " ", "\n", "<|im_start", "<|im_start|>", "ab", "\xE4\xBD\xA0", " \n", "\xFF", "\xE2\x96\x81", "1", "'", "!", "\xCC\x81", "\xED\xA0\x80"};
  for (const Named& named : vocabularies) {
    const Tokenizer* tokenizer = shared_tokenizer(named.file, named.pre);
    if (tokenizer == nullptr) return;
    for (const std::string& unit : units) {
      std::string text = repeated(unit, bytes);
      double start = processor_seconds();
      auto ids = tokenizer->encode(text).value_or_throw();
      double seconds = processor_seconds() - start;
      INFO(named.file << " " << named.pre << " '" << unit << "': " << seconds << " s, " << ids.size() << " tokens");
      CHECK(seconds < limit);
      CHECK(!ids.empty());
    }
  }
}

// Long texts remember their words; short ones do not.
TEST_CASE("a text over and over has its tokens over and over") {
  std::mt19937 random(19);
  for (const Named& named : vocabularies) {
    const Tokenizer* tokenizer = shared_tokenizer(named.file, named.pre);
    if (tokenizer == nullptr) return;
    std::size_t prefix = tokenizer->adds_space_prefix() ? tokenizer->encode("x", {.add_special = false}).value_or_throw().size() : 0;
    for (int round = 0; round < 20; ++round) {
      std::string unit;
      for (unsigned n = 1 + random() % 20; n > 0; --n) {
        unit += ' ';
        for (unsigned letters = 1 + random() % 12; letters > 0; --letters) unit += static_cast<char>('a' + random() % 26);
      }
      auto plain = [&](const std::string& text) {
        auto ids = tokenizer->encode("x" + text, {.add_special = false}).value_or_throw();
        return std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(prefix, 1)), ids.end());
      };
      auto once = plain(unit);
      REQUIRE(tokenizer->decode(once, true).ends_with(unit.substr(1)));
      std::vector<std::int32_t> expected;
      std::string many;
      for (int i = 0; i < 60; ++i) {
        expected.insert(expected.end(), once.begin(), once.end());
        many += unit;
      }
      INFO(named.file << " " << named.pre << ": '" << unit << "'");
      CHECK(plain(many) == expected);
    }
  }
}

// Backtracking takes quadratic time, or all memory, for several of these.
TEST_CASE("every pre-tokenizer cuts a megabyte of anything in linear time") {
  const std::string units[] = {"a", "A", "aA", " ", " \n", "\n", "1", "'", "!", "~", "a ", "<sentinel:1", "IMGIMGA", "\xE4\xBD\xA0",
                               "\xE3\x80\x80", "\xCC\x81", "\xFF", "a\xCC\x81"};
  std::vector<std::string_view> seen;
  for (const text::PreTokenizer& row : text::pretokenizers()) {
    for (const text::Cut& cut : row.cuts) {
      if (std::find(seen.begin(), seen.end(), cut.pattern) != seen.end() && cut.digits == text::DigitGroups::none) continue;
      seen.push_back(cut.pattern);
      text::Regex regex = text::Regex::compile(cut.pattern).value_or_throw();
      for (const std::string& unit : units) {
        for (const char* tail : {"", "x", "\xE4\xBD\xA0", "\n"}) {
          std::string text = repeated(unit, bytes) + tail;
          std::vector<std::uint32_t> ends;
          double start = processor_seconds();
          if (cut.digits == text::DigitGroups::none) {
            regex.split(text, ends);
          } else {
            text::split_digits(text, cut.digits, ends);
          }
          double seconds = processor_seconds() - start;
          INFO(row.name << ": " << cut.pattern << " on '" << unit << "' and '" << tail << "': " << seconds << " s");
          CHECK(seconds < limit / 5);
          CHECK(ends.back() == text.size());
          CHECK(std::is_sorted(ends.begin(), ends.end(), std::less_equal<>()));
        }
      }
    }
  }
}

}  // namespace strata::test
