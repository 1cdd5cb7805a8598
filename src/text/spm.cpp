// Owns: SentencePiece-style BPE (`llama`): characters merged by the score of the token they make, bytes as a fallback.
// Source: Kudo and Richardson, "SentencePiece" (arXiv:1808.06226).
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "text/base_tokenizer.h"
#include "text/merge.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

/// The byte that "<0xXX>" spells, or nothing.
std::optional<unsigned char> spelt_byte(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  unsigned char byte = 0;
  auto [end, error] = std::from_chars(text.data() + 3, text.data() + 5, byte, 16);
  if (error != std::errc{} || end != text.data() + 5) return std::nullopt;
  return byte;
}

std::string byte_spelling(int byte) {
  constexpr char digits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

class SpmTokenizer final : public BaseTokenizer {
 public:
  SpmTokenizer(Lexicon lexicon, std::vector<float> scores) : BaseTokenizer(std::move(lexicon)), scores_(std::move(scores)) {
    for (int byte = 0; byte < 256; ++byte) {
      auto id = table().find(byte_spelling(byte));
      if (!id) id = table().find(std::string(1, static_cast<char>(byte)));
      byte_tokens_[static_cast<std::size_t>(byte)] = id ? *id : this->lexicon().unknown.value_or(-1);
    }
  }

 protected:
  Result<void> encode_raw(std::string_view text, bool space_prefix, std::vector<std::int32_t>& out) const override {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + 3);
    if (space_prefix) marked += space_mark;
    for (char c : text) {
      if (c == ' ') {
        marked += space_mark;
      } else {
        marked += c;
      }
    }

    Merger merger;
    merger.start(marked);
    // A symbol is what its first byte announces, well-formed or not: bytes of no character become byte tokens below.
    for (std::size_t at = 0; at < marked.size();) {
      std::size_t length = std::min(announced_length(marked[at]), marked.size() - at);
      merger.add(length);
      at += length;
    }
    merger.merge([this](std::string_view left, std::string_view right) -> std::optional<double> {
      auto id = table().find({left.data(), left.size() + right.size()});
      if (!id) return std::nullopt;
      return -static_cast<double>(scores_[static_cast<std::size_t>(*id)]);
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
    return {};
  }

  void append_plain(std::int32_t token, std::string& out) const override {
    std::string_view text = table().text(token);
    if (table().type(token) == TokenType::byte) {
      if (auto byte = spelt_byte(text)) {
        out += static_cast<char>(*byte);
        return;
      }
    }
    for (std::size_t at = 0; at < text.size();) {
      bool space = text.substr(at).starts_with(space_mark);
      out += space ? ' ' : text[at];
      at += space ? space_mark.size() : 1;
    }
  }

 private:
  std::vector<float> scores_;
  std::array<std::int32_t, 256> byte_tokens_;  ///< -1: the vocabulary has nothing for this byte
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_spm(Vocabulary vocabulary) {
  if (vocabulary.scores.size() != vocabulary.tokens.size())
    return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: ", vocabulary.scores.size(), " scores for ",
                vocabulary.tokens.size(), " tokens; tokenizer model llama needs one each");
  for (std::size_t i = 0; i < vocabulary.scores.size(); ++i)
    if (std::isnan(vocabulary.scores[i]))
      return fail(ErrorCode::bad_file, "tokenizer.ggml.scores: the score of token ", i, " is not a number");
  auto lexicon = Lexicon::create(
      vocabulary, {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .space_prefix = true, .clean_spaces = false});
  if (!lexicon) return lexicon.error();
  return std::unique_ptr<Tokenizer>(std::make_unique<SpmTokenizer>(std::move(*lexicon), std::move(vocabulary.scores)));
}

}  // namespace strata::text
