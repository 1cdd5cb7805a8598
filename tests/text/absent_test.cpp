// Owns: a build without PCRE2: what needs regular expressions says so, the rest works.
#include "text/vocabularies.h"

namespace strata::test {

TEST_CASE("without PCRE2 a byte-level vocabulary is refused and a SentencePiece one works") {
  std::deque<std::string> texts;
  auto refused = text::Tokenizer::create(byte_vocabulary(texts));
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message.find("built without PCRE2") != std::string::npos);
  auto made = text::Tokenizer::create(piece_vocabulary(texts, {"\xE2\x96\x81" "a"}));
  REQUIRE(made);
  CHECK((*made)->encode("a", {}).value_or_throw() == std::vector<std::int32_t>{1, 259});
}

}  // namespace strata::test
