// Owns: the 12-byte packing of eight 6-bit scales and eight 6-bit minima that Q4_K and Q5_K share.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
//
// Bytes 0-3 hold scales 0-3 and bytes 4-7 minima 0-3 in their low six bits. Bytes 8-11 hold the low four bits of
// scales 4-7 (low nibbles) and of minima 4-7 (high nibbles), whose upper two bits top bytes 0-3 and 4-7.
#pragma once

#include <cstdint>

#include "kernels/formats/bits.h"
#include "kernels/formats/lanes.h"

namespace strata::formats {

/// One scale or minimum to a byte, number 0 in the lowest one of the first word.
template <class Word>
struct UnpackedScales {
  ScaleWords<Word, 2> scale, min;
};

/// From the twelve bytes as words.
template <class Word>
[[gnu::always_inline]] static inline UnpackedScales<Word> unpack_scales(Word a, Word b, Word c) {
  return {two_words(a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u)),
          two_words(b & 0x3f3f3f3fu, (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u))};
}
/// Of rows side by side: the twelve begin at byte `at` of each block.
template <class Rows>
[[gnu::always_inline]] static inline auto unpack_scales(const Rows& blocks, int at) {
  return unpack_scales(blocks.word(at), blocks.word(at + 4), blocks.word(at + 8));
}
static inline UnpackedScales<std::uint32_t> unpack_scales(const std::uint8_t packed[12]) {
  // One load for each word: a copy of all twelve bytes would go through memory once more.
  return unpack_scales(load32(packed), load32(packed + 4), load32(packed + 8));
}
[[gnu::always_inline]] static inline std::uint64_t joined(ScaleWords<std::uint32_t, 2> words) {
  return words.bytes[0] | std::uint64_t{words.bytes[1]} << 32;
}

/// The same, spelled out for one sub-block s in [0, 8).
static inline void unpack_scale(const std::uint8_t packed[12], int s, int& scale, int& min) {
  if (s < 4) {
    scale = packed[s] & 63;
    min = packed[s + 4] & 63;
  } else {
    scale = (packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4;
    min = packed[s + 4] >> 4 | (packed[s] >> 6) << 4;
  }
}

static inline void pack_scales(const std::uint8_t scale[8], const std::uint8_t min[8], std::uint8_t packed[12]) {
  for (int s = 0; s < 4; ++s) {
    packed[s] = static_cast<std::uint8_t>(scale[s] | (scale[s + 4] >> 4) << 6);
    packed[s + 4] = static_cast<std::uint8_t>(min[s] | (min[s + 4] >> 4) << 6);
    packed[s + 8] = static_cast<std::uint8_t>((scale[s + 4] & 15) | (min[s + 4] & 15) << 4);
  }
}

}  // namespace strata::formats
