// Owns: the merge loop that both tokenizer models share. Knows neither their texts' alphabet nor where ranks come from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

namespace strata::text {

/// Merges adjacent symbols of a text, the pair of lowest rank first and among equals the leftmost, until no pair has a
/// rank. O(n log n): a heap of candidate pairs over a linked list of symbols. Reusable, so that its memory is.
class Merger {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  /// `text` (under 4 GiB) must outlive `merge` and `each`.
  void start(std::string_view text) {
    text_ = text;
    symbols_.clear();
    heap_.clear();
  }

  /// Appends the symbol made of the next `size` bytes.
  void add(std::size_t size) {
    auto at = static_cast<std::uint32_t>(symbols_.size());
    std::uint32_t begin = at == 0 ? 0 : symbols_.back().begin + symbols_.back().size;
    if (at > 0) symbols_.back().next = at;
    symbols_.push_back({begin, static_cast<std::uint32_t>(size), at == 0 ? none : at - 1, none});
  }

  /// `rank(left, right)` gives an optional<double>; both views lie side by side in the text.
  template <class Rank>
  void merge(Rank rank) {
    if (symbols_.size() <= few) return merge_few(rank);
    for (std::uint32_t i = 1; i < symbols_.size(); ++i) consider(i - 1, i, rank);
    std::make_heap(heap_.begin(), heap_.end());
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      Candidate best = heap_.back();
      heap_.pop_back();
      Symbol& left = symbols_[best.left];
      Symbol& right = symbols_[best.right];
      // A candidate is stale when either symbol was swallowed or has grown since.
      if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) continue;
      left.size += right.size;
      right.size = 0;
      left.next = right.next;
      if (left.next != none) symbols_[left.next].prev = best.left;
      if (left.prev != none && consider(left.prev, best.left, rank)) std::push_heap(heap_.begin(), heap_.end());
      if (left.next != none && consider(best.left, left.next, rank)) std::push_heap(heap_.begin(), heap_.end());
    }
  }

  /// Calls `visit(view)` for each symbol in order.
  template <class Visit>
  void each(Visit visit) const {
    for (std::uint32_t i = symbols_.empty() ? none : 0; i != none; i = symbols_[i].next) visit(view(symbols_[i]));
  }

 private:
  struct Symbol {
    std::uint32_t begin, size, prev, next;  // size 0: swallowed
  };
  struct Candidate {
    double rank;
    std::uint32_t left, right, size;
    bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : left > o.left; }
  };

  static constexpr std::size_t few = 24;  // so many symbols are scanned faster than heaped

  std::string_view view(const Symbol& s) const { return text_.substr(s.begin, s.size); }

  /// The same order of merges, over a dense list.
  template <class Rank>
  void merge_few(Rank& rank) {
    constexpr double never = std::numeric_limits<double>::infinity();
    double ranks[few];  // ranks[i]: of the pair i, i + 1
    std::size_t n = symbols_.size();
    auto look = [&](std::size_t i) { return rank(view(symbols_[i]), view(symbols_[i + 1])).value_or(never); };
    for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = look(i);
    while (n > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < n; ++i)
        if (ranks[i] < ranks[best]) best = i;
      if (ranks[best] == never) break;
      symbols_[best].size += symbols_[best + 1].size;
      for (std::size_t i = best + 1; i + 1 < n; ++i) {
        symbols_[i] = symbols_[i + 1];
        ranks[i - 1] = ranks[i];
      }
      --n;
      if (best > 0) ranks[best - 1] = look(best - 1);
      if (best + 1 < n) ranks[best] = look(best);
    }
    symbols_.resize(n);
    for (std::uint32_t i = 0; i < n; ++i) symbols_[i].next = i + 1 < n ? i + 1 : none;
  }

  template <class Rank>
  bool consider(std::uint32_t left, std::uint32_t right, Rank& rank) {
    const Symbol &l = symbols_[left], &r = symbols_[right];
    std::optional<double> found = rank(view(l), view(r));
    if (found) heap_.push_back({*found, left, right, l.size + r.size});
    return found.has_value();
  }

  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace strata::text
