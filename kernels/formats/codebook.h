// Owns: what the codebook formats (IQ1, IQ2, IQ3) share: grids and sign bits. Knows no block layout.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
//
// A grid is a set of vectors of 8 (or 4) elements out of 3 (or 8) magnitudes; a block stores the vectors' places in it.
// Writing a vector as a number, its first element the lowest digit in base 3 (or 8), orders the set. So a grid is kept
// as the bit map of its numbers and expanded by the compiler. Which vectors are members was chosen by statistics over
// models' weights when the formats were made; it is a constant of each format.
#pragma once

#include <cstdint>

#include "kernels/formats/bits.h"

namespace strata::formats {

/// N vectors of eight bytes, element 0 in the lowest byte.
template <int N>
struct GridOf8 {
  std::uint64_t vector[N];
};
/// N vectors of four bytes, element 0 in the lowest byte.
template <int N>
struct GridOf4 {
  std::uint32_t vector[N];
};

/// The grid whose numbers n (multiples of Step) have bit n / Step of `members`; digit d is the byte digits[d]. Fewer or
/// more members than N do not compile.
template <class Grid, int Step, int N, int Base, int Words>
static constexpr Grid expand_grid(const std::uint8_t (&digits)[Base], const std::uint64_t (&members)[Words]) {
  Grid grid{};
  constexpr int length = sizeof grid.vector[0];
  int count = 0;
  for (int word = 0; word < Words; ++word)
    for (std::uint64_t rest = members[word]; rest; rest &= rest - 1) {
      int bit = 0;
      for (std::uint64_t below = ~rest & (rest - 1); below; below >>= 1) ++bit;
      int number = (64 * word + bit) * Step;
      std::uint64_t bytes = 0;
      for (int i = 0; i < length; ++i, number /= Base) bytes |= std::uint64_t{digits[number % Base]} << 8 * i;
      grid.vector[count++] = static_cast<decltype(+grid.vector[0])>(bytes);
    }
  return count == N ? grid : throw "a grid of another size";
}

/// Seven sign bits in each byte; the eighth makes the number of set bits even.
static inline std::uint64_t with_parity(std::uint64_t sevens) {
  std::uint64_t odd = sevens ^ sevens >> 4;  // bit 0 of each byte becomes the sum of its eight
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return sevens | (odd & 0x0101010101010101u) << 7;
}

/// The seven-bit fields 0 to 3 of each 32-bit half, a byte each.
static inline std::uint64_t spread_sevens(std::uint64_t halves) {
  halves = (halves & 0x00003fff00003fffu) | (halves & 0x0fffc0000fffc000u) << 2;
  return (halves & 0x007f007f007f007fu) | (halves & 0x3f803f803f803f80u) << 1;
}

/// The low bytes of eight 16-bit fields, four to a word.
static inline std::uint64_t low_bytes(std::uint64_t lower, std::uint64_t upper) {
  const auto four = [](std::uint64_t fields) {
    fields &= 0x00ff00ff00ff00ffu;
    fields = (fields | fields >> 8) & 0x0000ffff0000ffffu;
    return (fields | fields >> 16) & 0xffffffffu;
  };
  return four(lower) | four(upper) << 32;
}

}  // namespace strata::formats
