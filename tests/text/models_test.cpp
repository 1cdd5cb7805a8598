// Owns: the tokenizer models on small vocabularies: what each does with a text, worked out by hand.
#include <algorithm>

#include "text/pretokenizers.h"
#include "text/vocabularies.h"

namespace strata::test {

namespace {

using text::EncodeOptions;
using text::Tokenizer;
using text::TokenType;
using text::Vocabulary;
using Ids = std::vector<std::int32_t>;

/// A vocabulary with views into string literals.
struct Entry {
  const char* text;
  float score = 0;
  TokenType type = TokenType::normal;
};
Vocabulary vocabulary_of(const char* model, std::initializer_list<Entry> entries) {
  Vocabulary v;
  v.model = model;
  for (const Entry& e : entries) {
    v.tokens.push_back(e.text);
    v.scores.push_back(e.score);
    v.types.push_back(e.type);
  }
  return v;
}
std::unique_ptr<Tokenizer> make(Vocabulary v) { return Tokenizer::create(std::move(v)).value_or_throw(); }
Ids ids(const Tokenizer& t, std::string_view text, bool special = false) {
  return t.encode(text, {.add_special = special, .parse_special = true}).value_or_throw();
}
std::string text_of(const Tokenizer& t, const Ids& tokens) { return t.decode(tokens, true); }

Vocabulary bert() {
  Vocabulary v = vocabulary_of("bert", {{"[PAD]", 0, TokenType::control}, {"[UNK]", 0, TokenType::unknown},
                                        {"[CLS]", 0, TokenType::control}, {"[SEP]", 0, TokenType::control},
                                        {"▁un"}, {"▁u"}, {"want"}, {"ed"}, {"▁,"}, {"▁中"}, {"▁国"}, {"▁eclair"}, {"▁Un"}, {"▁é"}});
  v.unknown = 1, v.bos = 2, v.separator = 3, v.padding = 0;
  return v;
}

}  // namespace

TEST_CASE("WordPiece takes the longest tokens, or gives a word up") {
  auto t = make(bert());
  CHECK(ids(*t, "unwanted", true) == Ids{2, 4, 6, 7, 3});
  CHECK(ids(*t, "  UNwanted ,中国\t") == Ids{4, 6, 7, 8, 9, 10});
  CHECK(ids(*t, "unwantedly un") == Ids{1, 4});
  CHECK(ids(*t, "\xC3\x89" "clair") == Ids{11});
  CHECK(ids(*t, "e\xCC\x81" "clair \xE2\x80\x8B") == Ids{11});  // a zero-width space is a control character
  CHECK(ids(*t, "", true) == Ids{2, 3});
  CHECK(ids(*t, "un[SEP]un") == Ids{4, 3, 4});
  CHECK(text_of(*t, {4, 6, 7, 8}) == " unwanted,");
  CHECK((t->adds_bos() && !t->adds_eos()));

  Vocabulary cased = bert();
  cased.lower_case = false;
  auto c = make(std::move(cased));
  CHECK(ids(*c, "Unwanted \xC3\xA9") == Ids{12, 6, 7, 13});
  Vocabulary accents = bert();
  accents.strip_accents = false;
  CHECK(ids(*make(std::move(accents)), "\xC3\x89") == Ids{13});
}

TEST_CASE("WordPiece streams words with their spaces") {
  auto t = make(bert());
  text::StreamDecoder stream(*t, false, true);
  CHECK(stream.push(4) == " un");
  CHECK(stream.push(6) == "want");
  CHECK(stream.push(3) == "");
  CHECK(stream.push(9) == " 中");
}

namespace {

Vocabulary t5() {
  return vocabulary_of("t5", {{"<pad>", 0, TokenType::control}, {"</s>", 0, TokenType::control}, {"<unk>", 0, TokenType::unknown},
                              {"▁", -3}, {"▁ab", -4}, {"a", -2}, {"b", -2}, {"bc", -3}, {"c", -5}, {"▁a", -4.5f},
                              {"<x>", -100, TokenType::user_defined}, {"d", -1, TokenType::unused}});
}

}  // namespace

TEST_CASE("the unigram model finds the best segmentation") {
  Vocabulary v = t5();
  v.add_space_prefix = true;
  auto t = make(std::move(v));
  CHECK(ids(*t, "ab", true) == Ids{4, 1});
  CHECK(ids(*t, "abc") == Ids{9, 7});           // -4.5 - 3 beats ▁ab c with -9
  CHECK(ids(*t, "abd ab") == Ids{4, 11, 4});
  CHECK(ids(*t, "azzyb") == Ids{9, 2, 6});      // unknown characters in a row are one token
  CHECK(ids(*t, "a<x>b") == Ids{9, 10, 3, 6});  // the space prefix comes once in each raw part
  CHECK(text_of(*t, {4, 6, 4}) == "abb ab");
  CHECK(ids(*t, "a  b") == Ids{9, 3, 3, 6});

  Vocabulary merged = t5();
  merged.remove_extra_whitespaces = true;
  CHECK(ids(*make(std::move(merged)), "  a   b ") == Ids{9, 3, 6});
  Vocabulary bare = t5();
  auto b = make(std::move(bare));
  CHECK(ids(*b, "ab") == Ids{5, 6});
  CHECK(ids(*b, "\xFF") == Ids{2});
  CHECK(b->adds_eos());
}

namespace {

/// A normalizer with one rule each for "A" -> "a", "Bc" -> "" and "BcD" -> "d": a double array made by hand.
std::string charsmap() {
  std::vector<std::uint32_t> units(1024);
  auto unit = [&units](std::uint32_t at, std::uint32_t offset, unsigned char label, bool leaf) {
    units[at] = offset << 10 | label | (leaf ? 0x100u : 0u);
  };
  // The children of a unit at u with offset o lie at u ^ o ^ byte; its value, if it is a leaf, at u ^ o.
  units[0] = 256u << 10;
  unit(256 ^ 'A', 512, 'A', true);
  units[256 ^ 'A' ^ 512] = 0x80000000u;
  unit(256 ^ 'B', 768, 'B', false);
  std::uint32_t c = 256u ^ 'B' ^ 768 ^ 'c';
  unit(c, 16, 'c', true);
  units[c ^ 16] = 0x80000000u | 2;
  unit(c ^ 16 ^ 'D', 32, 'D', true);
  units[c ^ 16 ^ 'D' ^ 32] = 0x80000000u | 3;
  std::string out;
  auto put = [&out](std::uint32_t word) {
    for (int i = 0; i < 4; ++i) out += static_cast<char>(word >> (8 * i) & 0xFF);
  };
  put(static_cast<std::uint32_t>(units.size() * 4));
  for (std::uint32_t u : units) put(u);
  return out + std::string("a\0\0d\0", 5);
}

}  // namespace

TEST_CASE("the unigram model's normalizer replaces the longest texts it knows") {
  std::string map = charsmap();
  auto with = [&](const std::string& bytes) {
    Vocabulary v = t5();
    v.charsmap = std::as_bytes(std::span(bytes));
    return Tokenizer::create(std::move(v));
  };
  auto t = with(map).value_or_throw();
  CHECK(ids(*t, "Ab") == Ids{5, 6});
  CHECK(ids(*t, "aBcb") == Ids{5, 6});
  CHECK(ids(*t, "aBcDb") == Ids{5, 11, 6});
  CHECK(ids(*t, "aB") == Ids{5, 2});
  CHECK(ids(*t, "<x>A") == Ids{10, 5});

  auto refused = [&](const std::string& bytes) { return with(bytes).error().message; };
  CHECK(refused("abc").find("precompiled_charsmap: 3 bytes hold no length") != std::string::npos);
  CHECK(refused(map.substr(0, 900)).find("a table of 4096 bytes does not fit in 900") != std::string::npos);
  CHECK(refused(map.substr(0, map.size() - 1)).find("the last replacement has no end") != std::string::npos);
  // Whatever a damaged table says, nothing outside of it is read.
  std::mt19937 random(17);
  for (int round = 0; round < 300; ++round) {
    std::string noise = map;
    for (std::size_t i = 4; i + 1 < noise.size(); ++i)
      if (random() % 3 == 0) noise[i] = static_cast<char>(random() & 0xFF);
    auto damaged = with(noise).value_or_throw();
    ids(*damaged, random_bytes(random, 60) + "ABcDAAB");
  }
}

TEST_CASE("RWKV takes the longest tokens, bytes or text") {
  Vocabulary v;
  v.model = "rwkv";
  v.tokens = {"<end>", "a", "b", "ab", "\\n", "\\xe4", "\\xbd\\xa0", "\\\\", "\\x09b", "\\n\\n"};
  auto t = make(std::move(v));
  CHECK(ids(*t, "abba\n\n\n", true) == Ids{3, 2, 1, 9, 4});
  CHECK(ids(*t, "\xE4\xBD\xA0\\\tb") == Ids{5, 6, 7, 8});
  CHECK(text_of(*t, {5, 6, 7, 8, 4}) == "\xE4\xBD\xA0\\\tb\n");
  CHECK(ids(*t, "azb") == Ids{1, 2});  // a byte the vocabulary lacks, without an unknown token
  text::StreamDecoder stream(*t);
  CHECK(stream.push(5) == "");
  CHECK(stream.push(6) == "\xE4\xBD\xA0");
}

TEST_CASE("PLaMo 2 finds the cheapest segmentation, the longest tokens among equals") {
  std::deque<std::string> texts;
  Vocabulary v = piece_vocabulary(texts, {});
  v.model = "plamo2";
  for (auto [text, score] : {std::pair{"a", -1.0f}, {"b", -1.0f}, {"ab", -2.0f}, {"ba", -0.5f}, {"\xE4\xBD\xA0", -1.0f}}) {
    v.tokens.push_back(texts.emplace_back(text));
    v.scores.push_back(score);
    v.types.push_back(TokenType::normal);
  }
  auto t = make(v);
  CHECK(ids(*t, "ab", true) == Ids{261});
  CHECK(ids(*t, "aba") == Ids{259, 262});
  CHECK(ids(*t, "\xEF\xBB\xBF\xE4\xBD\xA0z\xC3\xA9") == Ids{263, 3 + 'z', 3 + 0xC3, 3 + 0xA9});
  CHECK(text_of(*t, {261, 3 + 0xC3, 3 + 0xA9}) == "ab\xC3\xA9");
  v.tokens[3 + 7] = "x";
  CHECK(Tokenizer::create(v).error().message.find("<0x07> is missing") != std::string::npos);
}

TEST_CASE("Gemma 4's BPE spells spaces as marks and falls back to bytes") {
  std::deque<std::string> texts;
  Vocabulary v = piece_vocabulary(texts, {"a", "b", "▁", "▁a", "ab", "\n", "\n\n", "▁ab", "b▁", "b▁a"});
  v.model = "gemma4";
  v.merges = {"▁ a", "a b", "▁a b", "\n \n"};
  v.bos = 1;
  v.add_bos = false;
  auto t = make(v);
  CHECK(ids(*t, "ab ab a", true) == Ids{1, 263, 266, 262});  // adds BOS whatever the file says
  CHECK(ids(*t, "a\n\n\n\nb") == Ids{259, 265, 265, 260});
  CHECK(ids(*t, "a\xC3\xA9") == Ids{259, 3 + 0xC3, 3 + 0xA9});
  CHECK(text_of(*t, {266, 3 + 0xC3, 3 + 0xA9}) == " ab\xC3\xA9");
  // A merge may reach across a mark: then the text is not cut there.
  v.merges = {"b ▁", "b▁ a"};
  CHECK(ids(*make(v), "b a a") == Ids{268, 261, 259});
}

TEST_CASE("special tokens swallow white space where their model has it so") {
  std::deque<std::string> texts;
  Vocabulary v = piece_vocabulary(texts, {"▁", "a", "<|user|>", "<|endoftext|>"});
  v.types[261] = v.types[262] = TokenType::control;
  v.add_space_prefix = false;
  v.name = "Phi-3 mini";
  auto t = make(v);
  CHECK(ids(*t, "a <|user|> \n a") == Ids{260, 259, 261, 260});
  CHECK(ids(*t, "<|endoftext|> a") == Ids{262, 259, 260});
  CHECK(ids(*t, "</s> a<|user|>") == Ids{2, 260, 261});
  CHECK(ids(*t, "<|user|>  <|user|>") == Ids{261, 261});
  v.name = "x";
  CHECK(ids(*make(v), "<|user|> a") == Ids{261, 259, 260});

  Vocabulary mask = byte_vocabulary(texts, {"<mask>"});
  mask.pre = "jina-v2-de";
  mask.types.assign(mask.tokens.size(), TokenType::normal);
  mask.types.back() = TokenType::control;
  CHECK(ids(*make(mask), "a \t<mask> a") == Ids{'a', 256, ' ', 'a'});
}

TEST_CASE("random vocabularies of every model are refused or take any bytes") {
  std::mt19937 random(23);
  const std::vector<std::string> parts = {"a", "b", "ab", "▁", " ", "\n", "\xE4\xBD\xA0", "\xE4", "\xBD\xA0", "\xFF", "<0x61>", "<0xFF>", "\\x6", "\\n"};
  auto text = [&](unsigned most) {
    std::string out;
    for (unsigned n = 1 + random() % most; n > 0; --n) out += parts[random() % parts.size()];
    return out;
  };
  int made = 0;
  for (int round = 0; round < 2000; ++round) {
    const char* models[] = {"llama", "gpt2", "gemma4", "bert", "t5", "rwkv", "plamo2"};
    Vocabulary v;
    v.model = models[round % 7];
    auto rows = text::pretokenizers();
    v.pre = rows[random() % rows.size()].name;
    std::deque<std::string> storage;
    for (int byte = 0; v.model == "plamo2" && byte < 256; ++byte) {
      char spelling[8];
      std::snprintf(spelling, sizeof spelling, "<0x%02X>", byte);
      v.tokens.push_back(storage.emplace_back(spelling));
    }
    for (unsigned n = 1 + random() % 40; n > 0; --n) {
      std::string token = text(4);
      if (std::find(v.tokens.begin(), v.tokens.end(), token) == v.tokens.end()) v.tokens.push_back(storage.emplace_back(token));
    }
    for (std::size_t i = 0; i < v.tokens.size(); ++i) {
      v.types.push_back(static_cast<TokenType>(random() % 3 ? 1 : random() % 7));
      v.scores.push_back(-static_cast<float>(random() % 50) / 4);
    }
    for (unsigned n = random() % 30; n > 0; --n) v.merges.push_back(storage.emplace_back(text(2) + " " + text(2)));
    v.add_space_prefix = random() % 2 == 0;
    v.remove_extra_whitespaces = random() % 2 == 0;
    auto tokenizer = Tokenizer::create(std::move(v));
    if (!tokenizer) continue;
    ++made;
    for (int i = 0; i < 5; ++i) {
      std::string any = i % 2 ? text(300) : random_bytes(random, 80);
      Ids out = ids(**tokenizer, any, i == 0);
      CHECK(std::all_of(out.begin(), out.end(), [&](int id) { return id >= 0 && id < (*tokenizer)->size(); }));
      text::StreamDecoder stream(**tokenizer, true);
      std::string streamed;
      for (std::int32_t id : out) streamed += stream.push(id);
      CHECK(text::valid_utf8(streamed + stream.finish()));
      (*tokenizer)->decode(out, false);
    }
  }
  CHECK(made > 1500);
}

}  // namespace strata::test
