// Owns: finding a string's position in a list of strings. Knows nothing of what the strings mean.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace strata::text {

/// 64-bit FNV-1a, so that the hash of a concatenation is computed part by part.
constexpr std::uint64_t hash_more(std::uint64_t hash, std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}
constexpr std::uint64_t hash_of(std::string_view text) { return hash_more(0xCBF29CE484222325u, text); }

/// A hash table of positions only: two words per slot, no copies of the strings, one allocation. The list itself is
/// passed to each call and must be the same one.
class StringIndex {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;

  /// Precondition: `count` < 2^31. At most half of the slots fill up.
  explicit StringIndex(std::size_t count = 0) : slots_(std::bit_ceil(count * 2 + 2)) {}

  /// Enters position `at` of `list`; answers the position of an equal string entered before, which stays, or `none`.
  std::uint32_t insert(std::span<const std::string_view> list, std::uint32_t at) {
    std::uint64_t hash = hash_of(list[at]);
    Slot& slot = slots_[probe(hash, [&](std::uint32_t other) { return list[other] == list[at]; })];
    if (slot.position != none) return slot.position;
    slot = {tag(hash), at};
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
    std::size_t at = static_cast<std::size_t>(hash ^ hash >> 29) & mask;
    while (slots_[at].position != none && !(slots_[at].tag == tag(hash) && equal(slots_[at].position)))
      at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace strata::text
