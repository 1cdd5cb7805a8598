// Owns: unigram language models (`t5`): a normalizer, then the segmentation of the highest score.
// Source: Kudo, "Subword Regularization" (arXiv:1804.10959), section 3.2; the search is Viterbi's.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/byte_token.h"
#include "text/charsmap.h"
#include "text/marked_words.h"
#include "text/prefix_trie.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace strata::text {

namespace {

constexpr float unknown_penalty = 10;  // below the worst score

struct UgmParts {
  Charsmap charsmap;
  std::vector<float> scores;
  PrefixTrie tokens;        ///< normal, user-defined and unused tokens
  PrefixTrie user_defined;  ///< texts that the normalizer leaves alone
  MarkedWords words;
  float unknown_score = 0;
  bool merge_spaces = false;
};

class UgmTokenizer final : public BaseTokenizer {
 public:
  using Tokens = std::vector<std::int32_t>;

  UgmTokenizer(Lexicon lexicon, UgmParts parts) : BaseTokenizer(std::move(lexicon)), parts_(std::move(parts)) {}

 protected:
  Result<void> encode_raw(std::string_view raw, bool, Tokens& out) const override {
    std::string text = normalized(raw);
    std::vector<Best> best;
    std::size_t first = out.size();
    WordCache cache(text);
    parts_.words.each(text, [&](std::string_view word) {
      cache.tokens_of(word, out, [&](std::string_view w, Tokens& to) { encode_word(w, best, to); });
    });
    if (auto unknown = lexicon().unknown) {  // in a row they are one
      auto twin = [&](std::int32_t a, std::int32_t b) { return a == *unknown && b == *unknown; };
      out.erase(std::unique(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), twin), out.end());
    }
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    if (auto byte = table().type(token) == TokenType::byte ? spelt_byte(text) : std::nullopt) {
      out += static_cast<char>(*byte);
    } else {
      append_unmarked(text, out);
    }
  }

 private:
  /// The best segmentation of a front part of a word: its score, and its last token, which begins at `from`.
  struct Best {
    double score = -std::numeric_limits<double>::max();
    std::uint32_t from = 0;
    std::int32_t token = -1;
  };

  /// The text that stands for the front of `raw`, and how many bytes that front has.
  std::pair<std::string_view, std::size_t> normalized_front(std::string_view raw) const {
    // The front of a user-defined token is left alone, too: so the reference does.
    std::size_t kept = 0;
    for (std::uint32_t node = PrefixTrie::root; kept < raw.size(); ++kept) {
      node = parts_.user_defined.child(node, raw[kept]);
      if (node == PrefixTrie::none) break;
    }
    if (kept > 0) return {raw.substr(0, kept), kept};
    if (Charsmap::Match match = parts_.charsmap.longest(raw); match.length > 0) return {match.replacement, match.length};
    LooseChar c = loose_char(raw, 0);
    if (c.ok) return {raw.substr(0, c.length), c.length};
    return {replacement, 1};
  }

  /// Spaces become marks, one for several where the vocabulary asks; one more goes before the first word.
  std::string normalized(std::string_view raw) const {
    std::string out;
    out.reserve(raw.size() + raw.size() / 2);
    bool marked = false, in_word = false;
    while (!raw.empty()) {
      auto [text, length] = normalized_front(raw);
      for (char c : text) {
        if (c == ' ') {
          in_word = false;
          if (!parts_.merge_spaces) out += space_mark;
          continue;
        }
        if (!in_word && ((adds_space_prefix() && !marked) || parts_.merge_spaces)) {
          out += space_mark;
          marked = true;
        }
        in_word = true;
        out += c;
      }
      raw.remove_prefix(length);
    }
    return out;
  }

  void encode_word(std::string_view word, std::vector<Best>& best, Tokens& out) const {
    std::int32_t unknown = lexicon().unknown.value_or(-1);
    best.assign(word.size() + 1, Best{});
    best[0].score = 0;
    auto offer = [&best](std::size_t end, std::size_t from, std::int32_t token, double score) {
      if (score > best[end].score) best[end] = {score, static_cast<std::uint32_t>(from), token};
    };
    for (std::size_t at = 0; at < word.size();) {
      std::size_t length = std::min(announced_length(word[at]), word.size() - at);
      bool whole_character = false;
      std::uint32_t node = PrefixTrie::root;
      for (std::size_t end = at; end < word.size();) {
        node = parts_.tokens.child(node, word[end]);
        if (node == PrefixTrie::none) break;
        ++end;
        std::int32_t token = parts_.tokens.value(node);
        if (token < 0) continue;
        whole_character |= end - at == length;
        double score = table().type(token) == TokenType::user_defined ? 0.0 : parts_.scores[static_cast<std::size_t>(token)];
        offer(end, at, token, best[at].score + score);
      }
      if (!whole_character) offer(at + length, at, unknown, best[at].score + parts_.unknown_score);
      at += length;
    }
    std::size_t first = out.size();
    for (std::size_t end = word.size(); end > 0; end = best[end].from)
      if (best[end].token >= 0) out.push_back(best[end].token);
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
  }

  UgmParts parts_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_ugm(Vocabulary vocabulary) {
  if (auto ok = check_scores(vocabulary); !ok) return ok.error();
  UgmParts parts;
  parts.merge_spaces = vocabulary.remove_extra_whitespaces;
  if (!vocabulary.charsmap.empty()) {
    auto charsmap = Charsmap::create({reinterpret_cast<const char*>(vocabulary.charsmap.data()), vocabulary.charsmap.size()});
    if (!charsmap) return charsmap.error();
    parts.charsmap = std::move(*charsmap);
  }
  parts.scores = vocabulary.scores;
  const std::vector<TokenType> types = vocabulary.types;  // as the file has them
  auto lexicon = Lexicon::create(vocabulary, {.eos = 1, .unknown = 2, .padding = 0, .add_eos = true});
  if (!lexicon) return lexicon.error();
  float worst = std::numeric_limits<float>::max();
  for (std::int32_t id = 0; id < lexicon->table.size(); ++id) {
    auto at = static_cast<std::size_t>(id);
    if (!std::isfinite(parts.scores[at]))
      return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: the score of token ", id, " is not a finite number");
    TokenType type = types.empty() ? TokenType::normal : types[at];
    std::string_view text = lexicon->table.text(id);
    parts.words.note(text);
    if (type == TokenType::normal) worst = std::min(worst, parts.scores[at]);
    if (type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused) parts.tokens.insert(text, id);
    if (type == TokenType::user_defined) parts.user_defined.insert(text, id);
  }
  parts.unknown_score = worst - unknown_penalty;
  return std::unique_ptr<Tokenizer>(std::make_unique<UgmTokenizer>(std::move(*lexicon), std::move(parts)));
}

}  // namespace strata::text
