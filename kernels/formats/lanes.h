// Owns: short vectors of integers, as the compilers have them on every processor, for what unpackers do to the fields of
// a block before the vocabulary's vectors take over. Knows no format.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace strata::formats {

using U8x8 [[gnu::vector_size(8)]] = std::uint8_t;
using U16x8 [[gnu::vector_size(16)]] = std::uint16_t;

template <class Vector>
[[gnu::always_inline]] static inline Vector load(const void* p) {
  Vector vector;
  std::memcpy(&vector, p, sizeof vector);
  return vector;
}

[[gnu::always_inline]] static inline U16x8 widen(U8x8 bytes) { return __builtin_convertvector(bytes, U16x8); }

/// The upper 16 bits of eight words of 4 or 8 bytes.
template <int bytes>
[[gnu::always_inline]] static inline U16x8 top_words(const void* p) {
  using U32x8 [[gnu::vector_size(32)]] = std::uint32_t;
  using U64x8 [[gnu::vector_size(64)]] = std::uint64_t;
  using Words = std::conditional_t<bytes == 4, U32x8, U64x8>;
  Words words;
  std::memcpy(&words, p, sizeof words);
  return __builtin_convertvector(words >> (8 * bytes - 16), U16x8);
}

[[gnu::always_inline]] static inline U16x8 all(unsigned word) { return U16x8{} + static_cast<std::uint16_t>(word); }

/// 2n + 1 for the n of `bits` bits in the upper end of each word.
template <int bits>
[[gnu::always_inline]] static inline U16x8 odd_scales(U16x8 words) {
  constexpr std::uint16_t mask = (2 << bits) - 2;
  return (words >> (15 - bits) & mask) | 1;
}

/// The scales of groups, four to a word, a byte each.
template <class Word, int n>
struct ScaleWords {
  Word bytes[n];
};
template <class Word>
[[gnu::always_inline]] static inline ScaleWords<Word, 2> two_words(Word a, Word b) {
  return {{a, b}};
}
template <class Word>
[[gnu::always_inline]] static inline ScaleWords<Word, 4> four_words(Word a, Word b, Word c, Word d) {
  return {{a, b, c, d}};
}

/// The bits of `mask` that each byte of words has from bit `from` on, moved to bit `to`.
template <int from, int to, std::uint32_t mask, class Word>
[[gnu::always_inline]] static inline Word moved(Word words) {
  constexpr std::uint32_t each = (mask << to) * 0x01010101u;
  if constexpr (from >= to) return words >> (from - to) & each;
  else return words << (to - from) & each;
}

/// Where word i of some low bits stands, or of the high bits that belong to the first eight of them, when each of these has
/// its high bits behind it: in the order in which codes are read.
static constexpr int beside_high(bool high, int i) { return i < 8 ? 2 * i + high : 8 + i; }

/// Codes 4 i to 4 i + 3 of 32 nibbles, of rows side by side: number n in the low half of byte `at` + n of each block, number
/// 16 + n in its high half.
template <int i, class Rows>
[[gnu::always_inline]] static inline auto nibble_word(const Rows& blocks, int at) {
  return blocks.word(at + 4 * (i % 4)) >> 4 * (i / 4) & 0x0f0f0f0fu;
}

}  // namespace strata::formats
