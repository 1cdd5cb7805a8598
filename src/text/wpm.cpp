// Owns: WordPiece (`bert`): words are cleaned and cut out, then each is made of the longest tokens from the left.
// Source: Wu et al., "Google's Neural Machine Translation System" (arXiv:1609.08144), section 4.1; Devlin et al., "BERT"
// (arXiv:1810.04805) and its BasicTokenizer. In GGUF files a token that begins a word has U+2581 in front, one that goes
// on has nothing ("##" there in BERT's own files).
#include <array>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/marked_words.h"
#include "text/prefix_trie.h"
#include "text/unicode.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace strata::text {

namespace {

/// The blocks of Chinese characters that BERT cuts one by one; the fifth begins later than the block does, as there.
constexpr bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class WpmTokenizer final : public BaseTokenizer {
 public:
  using Tokens = std::vector<std::int32_t>;

  WpmTokenizer(Lexicon lexicon, bool lower_case, bool strip_accents)
      : BaseTokenizer(std::move(lexicon)), lower_case_(lower_case), strip_accents_(strip_accents) {
    for (std::int32_t id = 0; id < table().size(); ++id) trie_.insert(table().text(id), id);
    for (char32_t c = 0; c < ascii_.size(); ++c) ascii_[c] = read(c);
  }

 protected:
  Result<void> encode_raw(std::string_view raw, bool, Tokens& out) const override {
    std::string words;  // each with a mark in front
    std::vector<std::uint32_t> ends;
    cut_words(raw, words, ends);
    WordCache cache(words);
    std::size_t begin = 0;
    for (std::uint32_t end : ends) {
      cache.tokens_of(std::string_view(words).substr(begin, end - begin), out,
                      [this](std::string_view word, Tokens& to) { encode_word(word, to); });
      begin = end;
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override { append_unmarked(table().text(token), out); }

 private:
  enum class Use : std::uint8_t { letter, alone, space, nothing };
  struct Read {
    char32_t code = 0;
    Use use = Use::nothing;
  };

  /// What becomes of a character.
  Read read(char32_t c) const {
    if (strip_accents_) c = first_decomposed(c);
    if (is_white_space(c)) return {c, Use::space};
    Category kind = category(c);
    if (c == 0 || c == 0xFFFD || kind == Category::control || (strip_accents_ && kind == Category::mark)) return {c, Use::nothing};
    bool alone = kind == Category::punctuation || (c < 0x7F && kind == Category::symbol) || is_chinese(c);
    return {lower_case_ ? to_lower(c) : c, alone ? Use::alone : Use::letter};
  }

  void cut_words(std::string_view raw, std::string& words, std::vector<std::uint32_t>& ends) const {
    bool open = false;  // a word is being written
    auto close = [&] {
      if (open) ends.push_back(static_cast<std::uint32_t>(words.size()));
      open = false;
    };
    for (std::size_t at = 0; at < raw.size();) {
      LooseChar c = loose_char(raw, at);
      at += c.length;
      Read r = c.code < ascii_.size() ? ascii_[c.code] : read(c.code);
      if (r.use == Use::nothing) continue;
      if (r.use != Use::letter) close();
      if (r.use == Use::space) continue;
      if (!open) words += space_mark;
      open = true;
      append_utf8(words, r.code);
      if (r.use == Use::alone) close();
    }
    close();
  }

  /// A word that is not all tokens is unknown as a whole.
  void encode_word(std::string_view word, Tokens& out) const {
    std::size_t first = out.size();
    for (std::size_t at = 0; at < word.size();) {
      std::size_t best = at;
      std::int32_t token = -1;
      std::uint32_t node = PrefixTrie::root;
      for (std::size_t end = at; end < word.size();) {
        node = trie_.child(node, word[end++]);
        if (node == PrefixTrie::none) break;
        if (trie_.value(node) >= 0) token = trie_.value(node), best = end;
      }
      if (token < 0) {
        out.resize(first);
        if (lexicon().unknown) out.push_back(*lexicon().unknown);
        return;
      }
      out.push_back(token);
      at = best;
    }
  }

  bool lower_case_, strip_accents_;
  PrefixTrie trie_;
  std::array<Read, 128> ascii_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_wpm(Vocabulary vocabulary) {
  bool lower_case = vocabulary.lower_case.value_or(true);
  bool strip_accents = vocabulary.strip_accents.value_or(lower_case);
  vocabulary.add_space_prefix = false;  // words bring their own
  auto lexicon = Lexicon::create(vocabulary, {.bos = 101, .unknown = 100, .separator = 102, .padding = 0, .mask = 103,
                                              .add_bos = true, .clean_spaces = true, .separator_last = true});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<WpmTokenizer>(std::move(*lexicon), lower_case, strip_accents));
}

}  // namespace strata::text
