// Owns: the table of pre-tokenizers of byte-level BPE vocabularies. A new one is one row in pretokenizers.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace strata::text {

/// How `tokenizer.ggml.pre` cuts a text before merging, and what it implies.
struct PreTokenizer {
  std::string_view name;
  std::span<const std::string_view> patterns;  ///< each cuts the pieces of the one before it
  bool ignore_merges = false;  ///< a piece that is a token as a whole is that token, whatever the merges say
  bool add_bos = false;        ///< where the file has no tokenizer.ggml.add_bos_token
  bool clean_spaces = false;   ///< `decode` removes spaces before punctuation (clean_spaces.h)
};

const PreTokenizer* find_pretokenizer(std::string_view name);  ///< null when unknown
std::string pretokenizer_names();                              ///< "a, b, c", for messages

}  // namespace strata::text
