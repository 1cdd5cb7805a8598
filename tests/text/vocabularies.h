// Owns: vocabularies for the text tests: those of the shared goldens and small ones made here.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "gguf/file.h"
#include "runtime/vocabulary.h"
#include "support/catch.h"
#include "support/shared.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace strata::test {

struct Loaded {
  std::shared_ptr<const gguf::File> file;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

/// The tokenizer of a shared vocabulary, with another pre-tokenizer where one is given; null tokenizer: not here.
/// Kept for the rest of the run.
inline const text::Tokenizer* shared_tokenizer(const std::string& file_name, const std::string& pre = "") {
  static std::map<std::string, Loaded> cache;
  Loaded& slot = cache[file_name + "/" + pre];
  if (slot.tokenizer) return slot.tokenizer.get();
  auto path = shared("conformance/vocab/" + file_name);
  if (!path) return nullptr;
  slot.file = gguf::File::open(*path).value_or_throw();
  text::Vocabulary vocabulary = read_vocabulary(*slot.file).value_or_throw();
  if (!pre.empty()) vocabulary.pre = pre;
  slot.tokenizer = text::Tokenizer::create(std::move(vocabulary)).value_or_throw();
  return slot.tokenizer.get();
}

/// A byte-level vocabulary: the 256 byte characters, then `more`; all merges given. `texts` owns the strings.
inline text::Vocabulary byte_vocabulary(std::deque<std::string>& texts, const std::vector<std::string>& more = {}) {
  text::Vocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  char32_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    text::append_utf8(texts.emplace_back(), printable ? char32_t(b) : next++);
    v.tokens.push_back(texts.back());
  }
  for (const std::string& text : more) v.tokens.push_back(texts.emplace_back(text));
  return v;
}

/// A SentencePiece-style vocabulary: <unk> <s> </s>, 256 byte tokens, then `more` with scores -1, -2, ...
inline text::Vocabulary piece_vocabulary(std::deque<std::string>& texts, const std::vector<std::string>& more = {}) {
  text::Vocabulary v;
  v.model = "llama";
  auto add = [&](std::string text, float score, text::TokenType type) {
    v.tokens.push_back(texts.emplace_back(std::move(text)));
    v.scores.push_back(score);
    v.types.push_back(type);
  };
  add("<unk>", 0, text::TokenType::unknown);
  add("<s>", 0, text::TokenType::control);
  add("</s>", 0, text::TokenType::control);
  for (int b = 0; b < 256; ++b) {
    char spelling[8];
    std::snprintf(spelling, sizeof spelling, "<0x%02X>", b);
    add(spelling, 0, text::TokenType::byte);
  }
  float score = 0;
  for (const std::string& text : more) add(text, score -= 1, text::TokenType::normal);
  return v;
}

/// Valid UTF-8 of `characters` characters: words, spaces, digits, punctuation and letters of many scripts.
inline std::string random_text(std::mt19937& random, int characters) {
  std::string out;
  auto upto = [&random](unsigned n) { return static_cast<char32_t>(random() % n); };
  for (int i = 0; i < characters; ++i) {
    switch (random() % 12) {
      case 0: case 1: case 2: case 3: text::append_utf8(out, U'a' + upto(26)); break;
      case 4: text::append_utf8(out, 0x20 + upto(0x5F)); break;
      case 5: out += ' '; break;
      case 6: out += "\n\r\t  "[upto(5)]; break;
      case 7: text::append_utf8(out, 0xA0 + upto(0x700)); break;
      case 8: text::append_utf8(out, 0x4E00 + upto(0x5200)); break;
      case 9: text::append_utf8(out, 0x1F300 + upto(0x400)); break;
      case 10: text::append_utf8(out, upto(0xD800)); break;
      default: text::append_utf8(out, 0xE000 + upto(0x110000 - 0xE000)); break;
    }
  }
  return out;
}

inline std::string random_bytes(std::mt19937& random, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(random() & 0xFF);
  return out;
}

}  // namespace strata::test
