// Owns: text <-> token ids. Knows vocabularies as plain data; knows no file format, tensor or model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strata/result.h"

namespace strata::text {

/// `tokenizer.ggml.token_type` of GGUF.
enum class TokenType : std::uint8_t { undefined = 0, normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// Everything a tokenizer is made from; views must outlive the Tokenizer. Ids < 0 mean "none".
/// A flag or id without a value takes the default of its tokenizer model: `llama` has BOS 1, EOS 2 and unknown 0 and adds
/// BOS and the space prefix; `gpt2` has no ids and adds BOS where its pre-tokenizer says so; `gemma4` always adds BOS;
/// `bert` has BOS 101, separator 102, unknown 100, padding 0 and mask 103 and adds BOS and separator; `t5` has EOS 1,
/// unknown 2 and padding 0 and adds EOS; `plamo2` has BOS 1, EOS 2, unknown 0 and padding 3 and adds none, as `rwkv`.
struct Vocabulary {
  std::string model;                      ///< a row of Tokenizer::models()
  std::string pre;                        ///< pre-tokenizer name, "" when the file names none
  std::vector<std::string_view> tokens;
  std::vector<float> scores;              ///< empty or one per token
  std::vector<TokenType> types;           ///< empty or one per token
  std::vector<std::string_view> merges;   ///< "left right", best first
  std::optional<std::int32_t> bos, eos, eot, eom, unknown, separator, padding, mask;
  std::optional<std::int32_t> fim_prefix, fim_suffix, fim_middle, fim_pad, fim_repo, fim_separator;
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  bool remove_extra_whitespaces = false;   ///< t5: runs of spaces become one
  std::optional<bool> lower_case, strip_accents;  ///< bert: both unless told; accents go with the case
  std::span<const std::byte> charsmap;     ///< t5: SentencePiece's precompiled normalizer (charsmap.h); may be empty
  std::string name, architecture;          ///< of the model: some have special tokens that swallow white space
};

/// Bytes [begin, end) of a text.
struct ByteRange {
  std::size_t begin, end;
};

struct EncodeOptions {
  bool add_special = true;    ///< BOS/EOS as the vocabulary asks
  bool parse_special = true;  ///< control tokens written in the text become those tokens
  /// Where they do not, in order and disjoint: a marker that touches these bytes stays text, even a user-defined one.
  /// All else is cut as if there were no ranges.
  std::span<const ByteRange> content = {};
};

/// Immutable and thread-safe.
class Tokenizer {
 public:
  /// Refuses an unknown model or pre-tokenizer (listing those it knows), counts that disagree, ids out of range and
  /// duplicate token texts.
  static Result<std::unique_ptr<Tokenizer>> create(Vocabulary vocabulary);
  virtual ~Tokenizer() = default;

  /// The names that Vocabulary::model may have, "a, b, c".
  static std::string models();

  /// Bytes that are not UTF-8 become byte tokens (llama) or U+FFFD. At most 64 MiB at once.
  virtual Result<std::vector<std::int32_t>> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;
  /// The bytes of one token in the middle of a text; "" for control tokens unless `special`, and for ids out of range.
  virtual std::string piece(std::int32_t token, bool special) const = 0;
  /// The bytes of a text. Strips what `encode` would have added in front (the space prefix, where the first token has
  /// it), not control tokens' text when `special` is set. Vocabularies with the clean-up of spaces (llama-bpe, gpt-2)
  /// also lose the space before punctuation, as in "a ." (clean_spaces.h); `piece` and StreamDecoder never do that.
  virtual std::string decode(std::span<const std::int32_t> tokens, bool special) const = 0;

  virtual std::int32_t size() const = 0;
  virtual std::string_view token_text(std::int32_t token) const = 0;  ///< as stored in the vocabulary; "" out of range
  virtual TokenType token_type(std::int32_t token) const = 0;
  virtual std::optional<std::int32_t> find(std::string_view text) const = 0;  ///< by stored text
  virtual std::optional<std::int32_t> bos() const = 0;
  virtual std::optional<std::int32_t> eos() const = 0;
  virtual bool adds_bos() const = 0;
  virtual bool adds_eos() const = 0;
  virtual bool adds_space_prefix() const = 0;  ///< `encode` puts a space before text at the start and after special tokens
  virtual bool is_end_of_generation(std::int32_t token) const = 0;  ///< EOS, EOT and the other end markers
  virtual std::span<const std::int32_t> end_of_generation() const = 0;
};

/// Turns a stream of tokens into text that is always whole UTF-8: bytes of an unfinished character are held back.
/// Bytes that can never become valid are passed as U+FFFD. One stream per generation; not thread-safe.
class StreamDecoder {
 public:
  /// `continues`: the stream goes on after other text (a prompt), so a leading space is part of it; else it begins a text
  /// and loses the space prefix, as in `decode`.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool special = false, bool continues = false)
      : tokenizer_(tokenizer), special_(special), first_(!continues) {}
  /// The text that has become complete with this token; may be empty.
  std::string push(std::int32_t token);
  /// What is left at the end of the stream, with U+FFFD for an unfinished character.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool special_;
  bool first_;
  std::string pending_;
};

}  // namespace strata::text
