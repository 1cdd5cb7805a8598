// Owns: byte-level BPE (`gpt2`): a pre-tokenizer cuts the text, bytes become printable characters, ranked merges join them.
// Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), section 2.2.
#include <array>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/merge.h"
#include "text/pretokenizers.h"
#include "text/regex.h"
#include "text/utf8.h"

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

void append_mapped(std::string& out, char byte) { append_utf8(out, alphabet.code[static_cast<unsigned char>(byte)]); }

/// Ranks of "left right" pairs, found without building the pair.
class Merges {
 public:
  static Result<Merges> create(std::vector<std::string_view> pairs) {
    if (pairs.size() > 0x7FFFFFFF) return fail(ErrorCode::bad_file, "tokenizer.ggml.merges: ", pairs.size(), " are too many");
    Merges merges;
    merges.index_ = StringIndex(pairs.size());
    merges.pairs_ = std::move(pairs);
    for (std::uint32_t i = 0; i < merges.pairs_.size(); ++i) {
      std::string_view pair = merges.pairs_[i];
      std::size_t space = pair.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == pair.size())
        return fail(ErrorCode::bad_file, "tokenizer.ggml.merges: number ", i, ", \"", pair.substr(0, 100),
                    "\", is not two parts with a space between them");
      merges.index_.insert(merges.pairs_, i);  // of equal pairs the first, with the better rank, stays
      merges.longest_ = std::max(merges.longest_, pair.size());
    }
    return merges;
  }

  std::optional<double> rank(std::string_view left, std::string_view right) const {
    if (left.size() + 1 + right.size() > longest_) return std::nullopt;
    std::uint64_t hash = hash_more(hash_more(hash_of(left), " "), right);
    std::uint32_t at = index_.find(hash, [&](std::uint32_t i) {
      std::string_view pair = pairs_[i];
      return pair.size() == left.size() + 1 + right.size() && pair.starts_with(left) && pair[left.size()] == ' ' &&
             pair.ends_with(right);
    });
    if (at == StringIndex::none) return std::nullopt;
    return at;
  }

 private:
  std::vector<std::string_view> pairs_;
  StringIndex index_;
  std::size_t longest_ = 0;
};

class BpeTokenizer final : public BaseTokenizer {
 public:
  BpeTokenizer(Lexicon lexicon, Merges merges, std::vector<std::unique_ptr<Regex>> patterns, bool ignore_merges)
      : BaseTokenizer(std::move(lexicon)),
        merges_(std::move(merges)),
        patterns_(std::move(patterns)),
        ignore_merges_(ignore_merges) {}

 protected:
  Result<void> encode_raw(std::string_view raw, bool, std::vector<std::int32_t>& out) const override {
    std::string normalized;
    if (!valid_utf8(raw)) raw = normalized = loosely_normalized(raw);
    auto ends = split(raw);
    if (!ends) return ends.error();
    Merger merger;
    std::string mapped;
    std::size_t begin = 0;
    for (std::uint32_t end : *ends) {
      encode_word(raw.substr(begin, end - begin), merger, mapped, out);
      begin = end;
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    for (std::size_t at = 0; at < text.size();) {
      LooseChar c = loose_char(text, at);
      int byte = c.ok && c.code < alphabet.byte.size() ? alphabet.byte[c.code] : -1;
      if (byte >= 0) {
        out += static_cast<char>(static_cast<unsigned char>(byte));
      } else {
        out += text.substr(at, c.length);  // outside the alphabet: as it stands
      }
      at += c.length;
    }
  }

 private:
  /// The ends of the pre-tokenizer's pieces.
  Result<std::vector<std::uint32_t>> split(std::string_view text) const {
    // Patterns are matched against valid UTF-8. A surrogate is, like U+FFFD, neither letter, mark, number nor space, and
    // as long.
    std::string shape;
    if (!valid_utf8(text)) {
      shape = text;
      for (std::size_t at = 0; at < shape.size(); at += announced_length(shape[at]))
        if (char32_t code = loose_char(shape, at).code; code >= 0xD800 && code < 0xE000) shape.replace(at, 3, replacement);
      text = shape;
    }
    std::vector<std::uint32_t> ends{static_cast<std::uint32_t>(text.size())}, cut;
    for (const auto& pattern : patterns_) {
      std::uint32_t begin = 0;
      cut.clear();
      for (std::uint32_t end : ends) {
        std::size_t first = cut.size();
        if (auto done = pattern->split(text.substr(begin, end - begin), cut); !done) return done.error();
        for (std::size_t i = first; i < cut.size(); ++i) cut[i] += begin;
        begin = end;
      }
      std::swap(ends, cut);
    }
    return ends;
  }

  void encode_word(std::string_view word, Merger& merger, std::string& mapped, std::vector<std::int32_t>& out) const {
    mapped.clear();
    for (char byte : word) append_mapped(mapped, byte);
    if (ignore_merges_) {
      if (auto id = table().find(mapped)) {
        out.push_back(*id);
        return;
      }
    }
    merger.start(mapped);
    for (std::size_t at = 0; at < mapped.size(); at += announced_length(mapped[at])) merger.add(announced_length(mapped[at]));
    merger.merge([this](std::string_view left, std::string_view right) { return merges_.rank(left, right); });
    merger.each([&](std::string_view symbol) {
      if (auto id = table().find(symbol)) {
        out.push_back(*id);
        return;
      }
      // A merge that makes no token, or a byte the vocabulary lacks: the bytes it has are written, the others are lost.
      for (std::size_t at = 0; at < symbol.size(); at += announced_length(symbol[at]))
        if (auto id = table().find(symbol.substr(at, announced_length(symbol[at])))) out.push_back(*id);
    });
  }

  Merges merges_;
  std::vector<std::unique_ptr<Regex>> patterns_;
  bool ignore_merges_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_bpe(Vocabulary vocabulary) {
  const PreTokenizer* pre = find_pretokenizer(vocabulary.pre);
  if (pre == nullptr)
    return fail(ErrorCode::unsupported, "tokenizer.ggml.pre: \"", vocabulary.pre, "\" is not supported; known are ",
                pretokenizer_names());
  std::vector<std::unique_ptr<Regex>> patterns;
  for (std::string_view source : pre->patterns) {
    auto pattern = Regex::compile(source);
    if (!pattern) return fail(pattern.error().code, "tokenizer.ggml.pre: ", pre->name, ": ", pattern.error().message);
    patterns.push_back(std::move(*pattern));
  }
  auto merges = Merges::create(std::move(vocabulary.merges));
  if (!merges) return merges.error();
  // The space prefix belongs to SentencePiece vocabularies; byte-level ones spell the text as it is.
  vocabulary.add_space_prefix = false;
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != vocabulary.tokens.size())
    return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: ", vocabulary.scores.size(), " scores for ",
                vocabulary.tokens.size(), " tokens");
  auto lexicon = Lexicon::create(vocabulary, {.bos = {}, .eos = {}, .unknown = {}, .add_bos = pre->add_bos,
                                              .space_prefix = false, .clean_spaces = pre->clean_spaces});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<BpeTokenizer>(std::move(*lexicon), std::move(*merges),
                                                                   std::move(patterns), pre->ignore_merges));
}

}  // namespace strata::text
