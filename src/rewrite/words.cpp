// Owns: the vocabularies of made models. Knows the keys `tokenizer.ggml.*`; no tensor.
//
// Words are strings of letters, the short ones first, so that every text of letters becomes tokens of a few letters each
// and a vocabulary has any size that is asked for. A word is made of a shorter one and a letter: that is its merge.
#include "rewrite/shapes.h"

namespace strata::rewrite {

namespace {

constexpr std::int32_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
constexpr const char* kSpace = "\xe2\x96\x81";  // U+2581

struct Vocabulary {
  const Words& words;
  std::vector<std::string> tokens, merges;
  std::vector<std::int32_t> types;

  bool full() const { return tokens.size() >= static_cast<std::size_t>(words.count); }

  /// Control tokens keep their places between the others.
  void add(std::string token, std::int32_t type) {
    while (const Control* control = control_here()) put(control->text, control->text == std::string("<unk>") ? kUnknown : kControl);
    if (!full()) put(std::move(token), type);
  }

 private:
  const Control* control_here() const {
    for (const Control& control : words.controls)
      if (control.id == static_cast<int>(tokens.size())) return &control;
    return nullptr;
  }
  void put(std::string token, std::int32_t type) {
    tokens.push_back(std::move(token));
    types.push_back(type);
  }
};

/// Byte `b` as GPT-2 spells it: printable Latin-1 bytes as themselves, the other 68 from U+0100 on, in UTF-8.
std::string gpt2_letter(int b, int& others) {
  const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  const int code = printable ? b : 0x100 + others++;
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

void add_gpt2_bytes(Vocabulary& v) {
  int others = 0;
  for (int b = 0; b < 256; ++b) v.add(gpt2_letter(b, others), kNormal);
}

void add_byte_tokens(Vocabulary& v) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) v.add(str("<0x", kHex[b / 16], kHex[b % 16], ">"), kByte);
}

/// Single characters of vocabularies whose bytes are no characters.
void add_characters(Vocabulary& v) {
  v.add(kSpace, kNormal);
  for (char c = 33; c < 127; ++c) v.add(std::string(1, c), kNormal);
  for (std::size_t n = 1; n <= 4; ++n) v.add(std::string(n, '\n'), kNormal);
}

/// Strings of a to z, with and without a space before them, until the vocabulary is full.
void add_words(Vocabulary& v, const std::string& space) {
  std::vector<std::string> shorter = {space};
  for (char c = 'a'; c <= 'z'; ++c) shorter.push_back(std::string(1, c));
  while (!v.full()) {
    std::vector<std::string> longer;
    for (const std::string& left : shorter)
      for (char c = 'a'; c <= 'z' && !v.full(); ++c) {
        v.add(left + c, kNormal);
        if (v.tokens.back() != left + c) break;  // a control token had the last place
        longer.push_back(left + c);
        v.merges.push_back(left + ' ' + c);
      }
    shorter = std::move(longer);
  }
}

}  // namespace

void describe_words(Recipe& r, const Words& words) {
  const std::string model = words.model;
  Vocabulary v{words, {}, {}, {}};
  if (model == "gpt2") {
    add_gpt2_bytes(v);
    add_words(v, "\xc4\xa0");  // U+0120 is the space
  } else {
    add_byte_tokens(v);
    add_characters(v);
    add_words(v, kSpace);
  }
  const auto key = [&](const char* name, gguf::WriteValue value) { r.general(str("tokenizer.ggml.", name), std::move(value)); };
  key("model", model);
  if (words.pre) key("pre", std::string(words.pre));
  if (model != "gpt2") {
    std::vector<float> scores(v.tokens.size());
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
    key("scores", std::move(scores));
  }
  key("tokens", std::move(v.tokens));
  key("token_type", std::move(v.types));
  if (model != "llama") key("merges", std::move(v.merges));
  bool bos = false;
  for (const Control& control : words.controls) {
    if (control.id < 0 || !control.key) continue;
    key(str(control.key, "_token_id").c_str(), static_cast<std::uint32_t>(control.id));
    bos |= control.key == std::string("bos");
  }
  key("add_bos_token", bos);
  if (model == "llama" && words.count > 32000) key("add_space_prefix", false);  // Gemma 3
}

}  // namespace strata::rewrite
