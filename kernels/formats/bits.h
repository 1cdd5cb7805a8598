// Owns: little-endian words at any address and the spreading of their bits over bytes. Knows no block layout.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
#pragma once

#include <cstdint>
#include <cstring>

namespace strata::formats {

/// Little-endian words at any address.
static inline std::uint16_t load16(const void* p) {
  std::uint16_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}
static inline std::uint32_t load32(const void* p) {
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}
static inline std::uint64_t load64(const void* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// The nibbles of a word, a byte each, the lowest first.
static inline std::uint64_t spread_nibbles(std::uint32_t word) {
  std::uint64_t bytes = word;
  bytes = (bytes | bytes << 16) & 0x0000ffff0000ffffu;
  bytes = (bytes | bytes << 8) & 0x00ff00ff00ff00ffu;
  return (bytes | bytes << 4) & 0x0f0f0f0f0f0f0f0fu;
}

/// Eight pairs of bits to the bytes of a word, the lowest to the lowest byte.
static inline std::uint64_t spread_pairs(std::uint64_t pairs) {
  pairs = (pairs | pairs << 24) & 0x000000ff000000ffu;
  pairs = (pairs | pairs << 12) & 0x000f000f000f000fu;
  return (pairs | pairs << 6) & 0x0303030303030303u;
}

/// Bits 0 to 3 of a word, of which no other is set, to bit `at` of its bytes.
template <int at, class Word>
[[gnu::always_inline]] static inline Word spread_bits(Word bits) {
  bits = bits | bits << 7;
  return ((bits | bits << 14) & 0x01010101u) << at;
}

/// Each byte less 32, for bytes below 64.
template <class Word>
[[gnu::always_inline]] static inline Word bytes_less_32(Word bytes) {
  constexpr std::uint32_t high = 0x80808080u;  // keeps a byte from borrowing of the next
  return ((bytes | high) - 0x20202020u) ^ high;
}
static inline std::uint64_t bytes_less_32(std::uint64_t bytes) {
  constexpr std::uint64_t high = 0x8080808080808080u;
  return ((bytes | high) - 0x2020202020202020u) ^ high;
}

}  // namespace strata::formats
