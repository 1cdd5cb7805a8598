// Owns: the TQ1_0 format: 256 codes of base 3 under one scale, w = d * (u - 1), for ternary weights, five to a byte.
// Knows nothing of kernels or files.
//
// A byte holds five digits as the fraction 0.abcde in base 3, rounded up to 1/256. Multiplied by 3^n modulo 256 it has
// digit n as its leading one: the integer part of three times the fraction. Elements lie in three runs of bytes:
//   element 32n + i, n < 5: digit n of q[i]     160 + 16n + i, n < 5: of q[32 + i]     240 + 4n + i, n < 4: of q[48 + i]
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct TQ1_0 {
  static constexpr TensorType type = TensorType::tq1_0;
  static constexpr const char* name = "tq1_0";
  static constexpr int block = 256;
  struct Block {
    std::uint8_t q[52];
    Half d;
  };

  /// Where element e lies: the byte and the digit.
  struct Place {
    int byte, digit;
  };
  static constexpr Place place(int e) {
    if (e < 160) return {e % 32, e / 32};
    if (e < 240) return {32 + e % 16, (e - 160) / 16};
    return {48 + e % 4, (e - 240) / 4};
  }

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(TQ1_0::Block) == 54);
template <>
struct FormatOf<TQ1_0::type> {
  using List = TypeList<TQ1_0>;
};

/// Powers of 3; they shift the digits of a byte.
static constexpr std::uint8_t kPowersOf3[5] = {1, 3, 9, 27, 81};

}  // namespace strata::formats
