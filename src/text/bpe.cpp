// Owns: BPE by ranked merges (`gpt2`, `gemma4`): a pre-tokenizer cuts the text, its pieces are spelt as the vocabulary
// spells them, merges join the characters. Source: Radford et al., "Language Models are Unsupervised Multitask Learners"
// (GPT-2), section 2.2.
#include <array>
#include <optional>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/byte_token.h"
#include "text/byte_words.h"
#include "text/marked_words.h"
#include "text/merge.h"
#include "text/merges.h"
#include "text/pretokenizers.h"
#include "text/regex.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace strata::text {

namespace {

/// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the other 68 for U+0100 onwards in increasing order.
struct ByteAlphabet {
  std::array<std::uint16_t, 256> code{};   ///< the character of a byte
  std::array<std::int16_t, 0x144> byte{};  ///< the byte of a character, or -1

  constexpr ByteAlphabet() {
    for (auto& b : byte) b = -1;
    std::uint16_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
      code[b] = printable ? static_cast<std::uint16_t>(b) : next++;
      byte[code[b]] = static_cast<std::int16_t>(b);
    }
  }
};
constexpr ByteAlphabet alphabet;

/// The byte that a character stands for, and the first and last one of a text; none for characters outside the alphabet.
std::optional<std::uint8_t> byte_of(LooseChar c) {
  if (!c.ok || c.code >= alphabet.byte.size() || alphabet.byte[c.code] < 0) return {};
  return static_cast<std::uint8_t>(alphabet.byte[c.code]);
}
std::optional<std::uint8_t> byte_at(std::string_view spelt, std::size_t at) {
  const auto lead = static_cast<unsigned char>(spelt[at]);
  return lead < 0x80 ? byte_of({.code = lead, .length = 1, .ok = true}) : byte_of(loose_char(spelt, at));
}
std::optional<std::uint8_t> first_byte(std::string_view spelt) { return byte_at(spelt, 0); }
std::optional<std::uint8_t> last_byte(std::string_view spelt) {
  std::size_t at = spelt.size() - 1;
  while (at > 0 && (spelt[at] & 0xC0) == 0x80) --at;
  return byte_at(spelt, at);
}

/// Everything of a BPE tokenizer but its lexicon.
struct BpeParts {
  const PreTokenizer* pre = nullptr;
  std::vector<Regex> patterns;  ///< one for each cut by a pattern, in their order
  Merges merges;
  MarkedWords words;            ///< Spelling::marked only
  ByteWords byte_words;         ///< Spelling::bytes only
};

class BpeTokenizer final : public BaseTokenizer {
 public:
  using Tokens = std::vector<std::int32_t>;

  BpeTokenizer(Lexicon lexicon, BpeParts parts) : BaseTokenizer(std::move(lexicon)), parts_(std::move(parts)) {
    for (int byte = 0; byte < 256; ++byte)
      byte_tokens_[static_cast<std::size_t>(byte)] = table().find(byte_spelling(byte)).value_or(-1);
  }

 protected:
  Result<void> encode_raw(std::string_view raw, bool, Tokens& out) const override {
    std::string normalized, with_marks;
    if (!valid_utf8(raw)) raw = normalized = loosely_normalized(raw);
    bool is_marked = parts_.pre->spelling == Spelling::marked;
    if (is_marked) raw = with_marks = marked(raw, false);
    WordCache cache(raw);
    Merger merger;
    std::string mapped;
    auto encode = [&](std::string_view word, Tokens& to) { encode_word(word, merger, mapped, to); };
    std::size_t begin = 0;
    for (std::uint32_t end : split(raw)) {
      std::string_view piece = raw.substr(begin, end - begin);
      begin = end;
      auto visit = [&](std::string_view word) { cache.tokens_of(word, out, encode); };
      if (stays_whole(piece)) {
        visit(piece);
      } else if (is_marked) {
        parts_.words.each(piece, visit);
      } else {
        parts_.byte_words.each(piece, visit);
      }
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    if (auto byte = table().type(token) == TokenType::byte ? spelt_byte(text) : std::nullopt) {
      out += static_cast<char>(*byte);
    } else if (parts_.pre->spelling == Spelling::bytes) {
      append_bytes(text, out);
    } else {
      append_unmarked(text, out);
    }
  }

 private:
  static void append_bytes(std::string_view text, std::string& out) {
    for (std::size_t at = 0; at < text.size();) {
      LooseChar c = loose_char(text, at);
      if (auto byte = byte_of(c)) {
        out += static_cast<char>(*byte);
      } else {
        out += text.substr(at, c.length);  // outside the alphabet: as it stands
      }
      at += c.length;
    }
  }

  /// True for a piece that is looked up before anything else.
  bool stays_whole(std::string_view piece) const {
    return parts_.pre->ignore_merges || (parts_.pre->whole_newlines && piece.find_first_not_of('\n') == piece.npos);
  }

  /// The ends of the pre-tokenizer's pieces.
  std::vector<std::uint32_t> split(std::string_view text) const {
    std::vector<std::uint32_t> ends{static_cast<std::uint32_t>(text.size())}, cut;
    auto pattern = parts_.patterns.begin();
    for (const Cut& by : parts_.pre->cuts) {
      std::uint32_t begin = 0;
      cut.clear();
      for (std::uint32_t end : ends) {
        std::string_view piece = text.substr(begin, end - begin);
        std::size_t first = cut.size();
        if (by.digits == DigitGroups::none) {
          pattern->split(piece, cut);
        } else {
          split_digits(piece, by.digits, cut);
        }
        for (std::size_t i = first; i < cut.size(); ++i) cut[i] += begin;
        begin = end;
      }
      if (by.digits == DigitGroups::none) ++pattern;
      std::swap(ends, cut);
    }
    return ends;
  }

  void encode_word(std::string_view word, Merger& merger, std::string& mapped, Tokens& out) const {
    const bool bytes = parts_.pre->spelling == Spelling::bytes;
    if (bytes) {
      mapped.clear();
      for (char byte : word) append_utf8(mapped, alphabet.code[static_cast<unsigned char>(byte)]);
      word = mapped;
    }
    if (stays_whole(word)) {
      if (auto id = table().find(word)) {
        out.push_back(*id);
        return;
      }
    }
    merger.start(word);
    for (std::size_t at = 0; at < word.size(); at += announced_length(word[at])) merger.add(announced_length(word[at]));
    merger.merge([this](std::string_view left, std::string_view right) { return parts_.merges.rank(left, right); });
    merger.each([&](std::string_view symbol) {
      if (auto id = table().find(symbol)) {
        out.push_back(*id);
      } else if (bytes) {
        // A merge that makes no token, or a byte the vocabulary lacks: the bytes it has are written, the others are lost.
        for (std::size_t at = 0; at < symbol.size(); at += announced_length(symbol[at]))
          if (auto part = table().find(symbol.substr(at, announced_length(symbol[at])))) out.push_back(*part);
      } else {
        for (char c : symbol)
          if (std::int32_t part = byte_tokens_[static_cast<unsigned char>(c)]; part >= 0) out.push_back(part);
      }
    });
  }

  BpeParts parts_;
  std::array<std::int32_t, 256> byte_tokens_;  ///< <0xXX>; -1: the vocabulary has none
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_bpe(Vocabulary vocabulary) {
  BpeParts parts;
  std::string_view name = vocabulary.model == "gemma4" ? std::string_view("gemma4") : std::string_view(vocabulary.pre);
  parts.pre = find_pretokenizer(name);
  if (parts.pre == nullptr)
    return fail(ErrorCode::unsupported, "tokenizer.ggml.pre: \"", name, "\" is not supported; known are ",
                pretokenizer_names());
  for (const Cut& cut : parts.pre->cuts) {
    if (cut.digits != DigitGroups::none) continue;
    auto pattern = Regex::compile(cut.pattern);
    if (!pattern) return fail(pattern.error().code, "tokenizer.ggml.pre: ", parts.pre->name, ": ", pattern.error().message);
    parts.patterns.push_back(std::move(*pattern));
  }
  bool is_marked = parts.pre->spelling == Spelling::marked;
  auto merges = Merges::create(std::move(vocabulary.merges), [&](std::string_view left, std::string_view right) {
    if (is_marked) return parts.words.note(left, right);
    auto last = last_byte(left), first = first_byte(right);
    if (last && first) parts.byte_words.note(*last, *first);
  });
  if (!merges) return merges.error();
  parts.merges = std::move(*merges);
  // The space prefix belongs to SentencePiece vocabularies; these spell the text as it is.
  vocabulary.add_space_prefix = false;
  if (parts.pre->force_bos) vocabulary.add_bos = true;
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != vocabulary.tokens.size())
    return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: ", vocabulary.scores.size(), " scores for ",
                vocabulary.tokens.size(), " tokens");
  auto lexicon = Lexicon::create(vocabulary, {.add_bos = parts.pre->add_bos, .clean_spaces = parts.pre->clean_spaces});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<BpeTokenizer>(std::move(*lexicon), std::move(parts)));
}

}  // namespace strata::text
