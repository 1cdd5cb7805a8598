// Owns: the texts and types of a vocabulary's tokens, and finding a token by its text. Knows no tokenizer model.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/result.h"
#include "text/string_index.h"
#include "text/tokenizer.h"

namespace strata::text {

class TokenTable {
 public:
  /// `types` is empty (all normal) or one per token. Empty texts become `[EMPTY_<id>]`; equal texts are refused.
  static Result<TokenTable> create(std::vector<std::string_view> texts, std::vector<TokenType> types);

  std::int32_t size() const { return static_cast<std::int32_t>(texts_.size()); }
  bool contains(std::int32_t id) const { return id >= 0 && id < size(); }
  /// Preconditions of these three: `contains(id)`.
  std::string_view text(std::int32_t id) const { return texts_[static_cast<std::size_t>(id)]; }
  TokenType type(std::int32_t id) const { return types_[static_cast<std::size_t>(id)]; }
  void set_type(std::int32_t id, TokenType type) { types_[static_cast<std::size_t>(id)] = type; }

  std::optional<std::int32_t> find(std::string_view text) const {
    std::uint32_t at = index_.find(texts_, text);
    if (at == StringIndex::none) return std::nullopt;
    return static_cast<std::int32_t>(at);
  }

 private:
  std::vector<std::string_view> texts_;
  std::vector<TokenType> types_;
  std::deque<std::string> invented_;  // storage of the [EMPTY_i]; a deque keeps their addresses
  StringIndex index_;
};

}  // namespace strata::text
