// Owns: what all tokenizer models share: special tokens, BOS/EOS, decoding as a sequence of pieces.
// Knows no way of finding tokens; spm.cpp, bpe.cpp, ugm.cpp, wpm.cpp, rwkv.cpp and plamo2.cpp add those.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/special.h"
#include "text/token_table.h"
#include "text/tokenizer.h"

namespace strata::text {

/// The parts of a tokenizer that come from the vocabulary alone, checked.
struct Lexicon {
  TokenTable table;
  SpecialTokens special;
  std::vector<std::int32_t> ends;  ///< ascending
  std::optional<std::int32_t> bos, eos, unknown;
  std::optional<std::int32_t> first, last;  ///< what `encode` puts before and behind a text
  bool space_prefix = false;  ///< a space goes before raw text at the start and after a special token
  bool clean_spaces = false;

  /// Takes `tokens` and `types` out of the vocabulary. Absent flags and ids take the defaults given.
  struct Defaults {
    // Dropped where the vocabulary is too small for them.
    std::optional<std::int32_t> bos{}, eos{}, unknown{}, separator{}, padding{}, mask{};
    bool add_bos = false, add_eos = false, space_prefix = false, clean_spaces = false;
    bool separator_last = false;  ///< the separator ends a text, whatever the flags say, and BOS begins it
  };
  static Result<Lexicon> create(Vocabulary& vocabulary, const Defaults& defaults);
};

/// For models that need a score of every token.
Result<void> check_scores(const Vocabulary& vocabulary);

class BaseTokenizer : public Tokenizer {
 public:
  explicit BaseTokenizer(Lexicon lexicon) : lexicon_(std::move(lexicon)) {}

  Result<std::vector<std::int32_t>> encode(std::string_view text, const EncodeOptions& options) const final;
  std::string piece(std::int32_t token, bool special) const final;
  std::string decode(std::span<const std::int32_t> tokens, bool special) const final;

  std::int32_t size() const final { return table().size(); }
  std::string_view token_text(std::int32_t token) const final { return table().contains(token) ? table().text(token) : ""; }
  TokenType token_type(std::int32_t token) const final {
    return table().contains(token) ? table().type(token) : TokenType::undefined;
  }
  std::optional<std::int32_t> find(std::string_view text) const final { return table().find(text); }
  std::optional<std::int32_t> bos() const final { return lexicon_.bos; }
  std::optional<std::int32_t> eos() const final { return lexicon_.eos; }
  bool adds_bos() const final { return lexicon_.first.has_value(); }
  bool adds_eos() const final { return lexicon_.last && lexicon_.last == lexicon_.eos; }
  bool adds_space_prefix() const final { return lexicon_.space_prefix; }
  bool is_end_of_generation(std::int32_t token) const final;
  std::span<const std::int32_t> end_of_generation() const final { return lexicon_.ends; }

 protected:
  const TokenTable& table() const { return lexicon_.table; }
  const Lexicon& lexicon() const { return lexicon_; }

  /// Appends the tokens of raw text, not empty, that holds no special token.
  virtual Result<void> encode_raw(std::string_view text, bool space_prefix, std::vector<std::int32_t>& out) const = 0;
  /// Appends the bytes that a normal or byte token stands for.
  virtual void append_plain(std::int32_t token, std::string& out) const = 0;

 private:
  void append_piece(std::int32_t token, bool special, std::string& out) const;

  Lexicon lexicon_;
};

Result<std::unique_ptr<Tokenizer>> create_spm(Vocabulary vocabulary);
Result<std::unique_ptr<Tokenizer>> create_bpe(Vocabulary vocabulary);
Result<std::unique_ptr<Tokenizer>> create_ugm(Vocabulary vocabulary);
Result<std::unique_ptr<Tokenizer>> create_wpm(Vocabulary vocabulary);
Result<std::unique_ptr<Tokenizer>> create_rwkv(Vocabulary vocabulary);
Result<std::unique_ptr<Tokenizer>> create_plamo2(Vocabulary vocabulary);

}  // namespace strata::text
