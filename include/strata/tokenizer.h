// Owns: the public face of tokenizers. Usable without loading a model's weights.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strata/export.h"
#include "strata/result.h"

namespace strata {

using Token = std::int32_t;
/// No id of any vocabulary.
inline constexpr Token no_token = -1;

/// Bytes [begin, end) of a text.
struct TextRange {
  std::size_t begin, end;
};

struct EncodeOptions {
  bool add_special = true;    ///< BOS/EOS as the vocabulary asks
  bool parse_special = true;  ///< control tokens written in the text become those tokens
  /// In order and disjoint: where they do not. Control tokens, and user-defined tokens that look like markers (<|end|>),
  /// stay text when they touch these bytes; all else is cut as if there were no ranges.
  std::span<const TextRange> content = {};
};

/// A conversation as a chat template writes it.
struct ChatPrompt {
  std::string text;
  std::vector<TextRange> content;  ///< what came from the conversation and not from the template, in order and disjoint
};

/// Immutable and thread-safe; cheap to copy.
class STRATA_API Tokenizer {
 public:
  /// Reads the vocabulary of a GGUF file; the file needs no tensors. Errors: io, bad_file, unsupported.
  static Result<Tokenizer> load(const std::string& path);

  Result<std::vector<Token>> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// A conversation's tokens: control tokens come from the template alone. Begins with BOS where the vocabulary adds one
  /// and the template wrote none.
  Result<std::vector<Token>> encode(const ChatPrompt& prompt) const;
  /// The bytes of a text; control tokens are written only with `special`.
  std::string decode(std::span<const Token> tokens, bool special = false) const;
  /// The bytes of one token in the middle of a text; "" for ids out of range.
  std::string piece(Token token, bool special = false) const;

  int size() const;
  std::optional<Token> find(std::string_view text) const;  ///< by the vocabulary's own spelling
  std::string_view token_text(Token token) const;          ///< the vocabulary's own spelling
  std::optional<Token> bos() const;
  std::optional<Token> eos() const;
  bool adds_bos() const;
  bool is_end_of_generation(Token token) const;
  std::span<const Token> end_of_generation() const;

  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  friend class TextStream;
  std::shared_ptr<const State> state_;
};

/// Turns a stream of tokens into text that is always whole UTF-8: bytes of an unfinished character are held back, bytes
/// that can never become valid are passed as U+FFFD. One stream for each text; not thread-safe.
class STRATA_API TextStream {
 public:
  /// `continues`: the tokens go on from a prompt, so that a space before the first word is part of the text.
  explicit TextStream(const Tokenizer& tokenizer, bool special = false, bool continues = false);
  ~TextStream();
  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;
  std::string push(Token token);  ///< the text that has become complete; may be empty
  std::string finish();           ///< what is left at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
