// Owns: turning pieces of tokens into whole characters.
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace strata::text {

std::string StreamDecoder::push(std::int32_t token) {
  std::string piece = tokenizer_.piece(token, special_);
  if (first_ && tokenizer_.adds_space_prefix() && piece.starts_with(' ')) piece.erase(0, 1);
  first_ = false;
  pending_ += piece;
  std::string out;
  take_complete(pending_, out);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  take_complete(pending_, out);
  if (!pending_.empty()) out += replacement;
  pending_.clear();
  return out;
}

}  // namespace strata::text
