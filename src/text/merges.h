// Owns: the ranks of "left right" pairs. Knows no alphabet.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "strata/result.h"
#include "text/string_index.h"

namespace strata::text {

/// Finds a pair without building its text. The views must outlive it.
class Merges {
 public:
  /// `visit(left, right)` is called for each pair, in the order of the ranks.
  template <class Visit>
  static Result<Merges> create(std::vector<std::string_view> pairs, Visit visit) {
    if (pairs.size() > 0x7FFFFFFF) return fail(ErrorCode::bad_file, "tokenizer.ggml.merges: ", pairs.size(), " are too many");
    Merges merges;
    merges.index_ = StringIndex(pairs.size());
    merges.pairs_ = std::move(pairs);
    for (std::uint32_t i = 0; i < merges.pairs_.size(); ++i) {
      std::string_view pair = merges.pairs_[i];
      std::size_t space = pair.find(' ', 1);
      if (space == std::string_view::npos || space + 1 == pair.size())
        return fail(ErrorCode::bad_file, "tokenizer.ggml.merges: number ", i, ", \"", pair.substr(0, 100),
                    "\", is not two parts with a space between them");
      std::string_view left = pair.substr(0, space), right = pair.substr(space + 1);
      // Of equal pairs the first, with the better rank, stays.
      merges.index_.insert(hash_of_pair(left, right), i, [&](std::uint32_t other) { return merges.pairs_[other] == pair; });
      merges.longest_ = std::max(merges.longest_, pair.size());
      visit(left, right);
    }
    return merges;
  }

  std::optional<double> rank(std::string_view left, std::string_view right) const {
    if (left.size() + 1 + right.size() > longest_) return std::nullopt;
    std::uint32_t at = index_.find(hash_of_pair(left, right), [&](std::uint32_t i) {
      std::string_view pair = pairs_[i];
      return pair.size() == left.size() + 1 + right.size() && pair.starts_with(left) && pair[left.size()] == ' ' &&
             pair.ends_with(right);
    });
    if (at == StringIndex::none) return std::nullopt;
    return at;
  }

 private:
  static std::uint64_t hash_of_pair(std::string_view left, std::string_view right) {
    return hash_round(hash_of(left), hash_of(right));
  }

  std::vector<std::string_view> pairs_;
  StringIndex index_;
  std::size_t longest_ = 0;
};

}  // namespace strata::text
