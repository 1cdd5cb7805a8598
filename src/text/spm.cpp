// Owns: SentencePiece-style BPE (`llama`): characters merged by the score of the token they make, bytes as a fallback.
// Source: Kudo and Richardson, "SentencePiece" (arXiv:1808.06226).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/byte_token.h"
#include "text/marked_words.h"
#include "text/merge.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace strata::text {

namespace {

class SpmTokenizer final : public BaseTokenizer {
 public:
  SpmTokenizer(Lexicon lexicon, std::vector<float> scores) : BaseTokenizer(std::move(lexicon)), scores_(std::move(scores)) {
    for (int byte = 0; byte < 256; ++byte) {
      auto id = table().find(byte_spelling(byte));
      if (!id) id = table().find(std::string(1, static_cast<char>(byte)));
      byte_tokens_[static_cast<std::size_t>(byte)] = id ? *id : this->lexicon().unknown.value_or(-1);
    }
    for (std::int32_t id = 0; id < table().size(); ++id) words_.note(table().text(id));
  }

 protected:
  Result<void> encode_raw(std::string_view text, bool space_prefix, std::vector<std::int32_t>& out) const override {
    const std::string all = marked(text, space_prefix);
    Merger merger;
    auto encode = [&](std::string_view word, std::vector<std::int32_t>& to) { encode_word(word, merger, to); };
    // A stray lead byte takes the mark behind it along, so only well-formed text has words.
    if (!valid_utf8(all)) {
      encode(all, out);
      return {};
    }
    WordCache cache(all);
    words_.each(all, [&](std::string_view word) { cache.tokens_of(word, out, encode); });
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    auto byte = table().type(token) == TokenType::byte ? spelt_byte(text) : std::nullopt;
    if (byte) {
      out += static_cast<char>(*byte);
    } else {
      append_unmarked(text, out);
    }
  }

 private:
  void encode_word(std::string_view word, Merger& merger, std::vector<std::int32_t>& out) const {
    merger.start(word);
    // A symbol is what its first byte announces, well-formed or not: bytes of no character become byte tokens below.
    for (std::size_t at = 0; at < word.size();) {
      std::size_t length = std::min(announced_length(word[at]), word.size() - at);
      merger.add(length);
      at += length;
    }
    merger.merge([this](std::string_view left, std::string_view right) -> std::optional<double> {
      auto id = table().find({left.data(), left.size() + right.size()});
      if (!id) return std::nullopt;
      return std::min(-static_cast<double>(scores_[static_cast<std::size_t>(*id)]), std::numeric_limits<double>::max());
    });
    merger.each([&](std::string_view symbol) {
      if (auto id = table().find(symbol)) {
        out.push_back(*id);
        return;
      }
      for (char c : symbol) {
        std::int32_t id = byte_tokens_[static_cast<unsigned char>(c)];
        if (id >= 0) out.push_back(id);
      }
    });
  }

  std::vector<float> scores_;
  std::array<std::int32_t, 256> byte_tokens_;  ///< -1: the vocabulary has nothing for this byte
  MarkedWords words_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_spm(Vocabulary vocabulary) {
  if (auto ok = check_scores(vocabulary); !ok) return ok.error();
  for (std::size_t i = 0; i < vocabulary.scores.size(); ++i)
    if (std::isnan(vocabulary.scores[i]))
      return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: the score of token ", i, " is not a number");
  auto lexicon = Lexicon::create(
      vocabulary, {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .space_prefix = true});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<SpmTokenizer>(std::move(*lexicon), std::move(vocabulary.scores)));
}

}  // namespace strata::text
