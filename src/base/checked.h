// Owns: arithmetic on sizes that come from a file or a user, which must not wrap. Knows nothing of what they count.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace strata {

/// a + b, or nothing when it does not fit.
constexpr std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  if (b > std::numeric_limits<std::uint64_t>::max() - a) return std::nullopt;
  return a + b;
}

/// a * b, or nothing when it does not fit.
constexpr std::optional<std::uint64_t> checked_multiply(std::uint64_t a, std::uint64_t b) {
  if (a != 0 && b > std::numeric_limits<std::uint64_t>::max() / a) return std::nullopt;
  return a * b;
}

/// The smallest multiple of `alignment` (a power of two) that is not below `a`, or nothing when it does not fit.
constexpr std::optional<std::uint64_t> checked_align(std::uint64_t a, std::uint64_t alignment) {
  auto raised = checked_add(a, alignment - 1);
  if (!raised) return std::nullopt;
  return *raised & ~(alignment - 1);
}

}  // namespace strata
