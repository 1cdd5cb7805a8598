// Owns: finding a string's position in a list of strings. Knows nothing of what the strings mean.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace strata::text {

/// One round: a multiplication spreads the word upwards, the shift brings it back down.
inline std::uint64_t hash_round(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9FB21C651E98DF25u;
  return hash ^ hash >> 32;
}

/// For tables in memory only: it differs between machines of different byte order. Eight bytes a round.
inline std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = text.size() * 0x9E3779B97F4A7C15u, word = 0;
  const char* p = text.data();
  std::size_t n = text.size();
  for (; n > 8; n -= 8, p += 8) {
    std::memcpy(&word, p, 8);
    hash = hash_round(hash, word);
  }
  if (n >= 4) {
    std::uint32_t low = 0, high = 0;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + n - 4, 4);
    word = std::uint64_t{high} << 32 | low;
  } else if (n > 0) {
    auto byte = [p](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])); };
    word = byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16;
  } else {
    word = 0;
  }
  return hash_round(hash, word);
}

/// A hash table of positions only: two words per slot, no copies of the strings, one allocation. The list itself is
/// passed to each call and must be the same one.
class StringIndex {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  /// Precondition: `count` < 2^31. At most half of the slots fill up.
  explicit StringIndex(std::size_t count = 0) : slots_(std::bit_ceil(count * 2 + 2)) {}

  /// Enters `position`; answers the position entered before that has this hash and satisfies `equal(position)`, which
  /// stays, or `none`.
  template <class Equal>
  std::uint32_t insert(std::uint64_t hash, std::uint32_t position, Equal equal) {
    Slot& slot = slots_[probe(hash, equal)];
    if (slot.position != none) return slot.position;
    slot = {tag(hash), position};
    return none;
  }

  /// The position whose string has this hash and satisfies `equal(position)`, or `none`.
  template <class Equal>
  std::uint32_t find(std::uint64_t hash, Equal equal) const {
    return slots_[probe(hash, equal)].position;
  }

  std::uint32_t find(std::span<const std::string_view> list, std::string_view text) const {
    return find(hash_of(text), [&](std::uint32_t at) { return list[at] == text; });
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t position = none;
  };

  static std::uint32_t tag(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  template <class Equal>
  std::size_t probe(std::uint64_t hash, Equal equal) const {
    std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash) & mask;
    while (slots_[at].position != none && !(slots_[at].tag == tag(hash) && equal(slots_[at].position)))
      at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace strata::text
