// Owns: the table of pre-tokenizers of BPE vocabularies. A new one is one row in pretokenizers.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "text/digit_groups.h"

namespace strata::text {

/// One way to cut: by a regular expression, or else by groups of digits.
struct Cut {
  std::string_view pattern;
  DigitGroups digits = DigitGroups::none;
};

/// What the vocabulary's texts are made of.
enum class Spelling : std::uint8_t {
  bytes,   ///< GPT-2's printable characters, one for each byte
  marked,  ///< UTF-8 with U+2581 for the space, and byte tokens <0xXX> for what the vocabulary lacks
};

/// How `tokenizer.ggml.pre` cuts a text before merging, and what it implies.
struct PreTokenizer {
  std::string_view name;
  std::span<const Cut> cuts;  ///< each cuts the pieces of the one before it
  bool ignore_merges = false;  ///< a piece that is a token as a whole is that token, whatever the merges say
  bool add_bos = false;        ///< where the file has no tokenizer.ggml.add_bos_token
  bool clean_spaces = false;   ///< `decode` removes spaces before punctuation (clean_spaces.h)
  Spelling spelling = Spelling::bytes;
  bool whole_newlines = false;  ///< a run of line feeds that is a token is that token
  bool force_bos = false;       ///< adds BOS even where the file says not to
};

const PreTokenizer* find_pretokenizer(std::string_view name);  ///< null when unknown; "" is the default one
std::span<const PreTokenizer> pretokenizers();
std::string pretokenizer_names();  ///< "a, b, c", for messages

}  // namespace strata::text
