// Owns: how rows of weights are dealt out to threads, for those who take weights in and those who multiply them.
// Knows no kernel and no format.
//
// Memory lies on the node of the thread that first touches it, so a thread should touch the rows that it will multiply.
// Of a matrix every thread has a contiguous share, whatever else is multiplied in the same call; a call divides a thread's
// shares of all its matrices into parts by the bytes they take. Which rows of experts a step reads, only the step tells: their
// matrices, one behind the other, are taken in by all threads alike, so that they lie on all nodes evenly, and a step deals
// out those that it uses in the same order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/cpu/team.h"

namespace strata::cpu {

/// Threads get multiples of this many rows; kernels work on several at a time.
inline constexpr std::size_t kRowUnit = 16;
inline std::size_t row_units(std::size_t rows) { return (rows + kRowUnit - 1) / kRowUnit; }

/// One part of a sequence of work whose items differ in cost.
class Portion {
 public:
  Portion(std::uint64_t total, Share share)
      : begin_(total * static_cast<std::uint64_t>(share.part) / static_cast<std::uint64_t>(share.parts)),
        end_(total * static_cast<std::uint64_t>(share.part + 1) / static_cast<std::uint64_t>(share.parts)) {}

  /// The next items, [begin, end) of their kind, of `cost` each: those that start in the part.
  Range take(Range items, std::uint64_t cost) {
    const std::size_t count = items.end - items.begin;
    const Range range{items.begin + first_from(begin_, count, cost), items.begin + first_from(end_, count, cost)};
    at_ += count * cost;
    return range;
  }

 private:
  std::size_t first_from(std::uint64_t limit, std::size_t count, std::uint64_t cost) const {
    if (limit <= at_) return 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(count, (limit - at_ + cost - 1) / cost));
  }
  std::uint64_t begin_, end_, at_ = 0;
};

/// The units of rows that a part multiplies of some matrices, each with `units()` of them at `unit_cost()`:
/// calls f(matrix, range) for each.
template <class Matrices, class F>
void deal(const Matrices& matrices, Share share, int threads, F f) {
  const Share owner = share.of_owner(threads);
  std::uint64_t total = 0;
  for (const auto& m : matrices) {
    const Range all = owner.of(m.units());
    total += (all.end - all.begin) * m.unit_cost();
  }
  Portion portion(total, share.within_owner(threads));
  for (const auto& m : matrices) f(m, portion.take(owner.of(m.units()), m.unit_cost()));
}

}  // namespace strata::cpu
