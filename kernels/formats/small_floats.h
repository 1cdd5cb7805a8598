// Owns: the floats of 4 and 8 bits that block formats use for codes and scales. Knows no block.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
#pragma once

#include <cstdint>

#include "kernels/formats/half.h"

namespace strata::formats {

/// Twice the numbers of E2M1 (OCP Microscaling Formats 1.0, 5.3.3): a sign, two bits of exponent, one of fraction.
static constexpr std::int8_t kTwiceE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
/// The same above its least number.
static constexpr std::int8_t kTwiceE2M1Above12[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

/// Half of an E8M0 scale: 2^(e - 128). The two least are below float's normal range.
static inline float half_e8m0(std::uint8_t e) {
  return float_from_bits(e < 2 ? 0x200000u << e : static_cast<std::uint32_t>(e - 1) << 23);
}

/// The bits of a half float that is 2^-8 times a UE4M3 scale: four bits of exponent with bias 7, three of fraction. The
/// sign bit is not looked at. 0x7f, where E4M3 has its NaN, is 0.
static inline Half ue4m3_over_256(std::uint8_t bits) {
  return {static_cast<std::uint16_t>(bits == 0x7f ? 0 : (bits & 0x7f) << 7)};
}

/// Half of a UE4M3 scale.
static inline float half_ue4m3(std::uint8_t bits) { return to_float(ue4m3_over_256(bits)) * 128.0f; }

/// Scales as blocks store them that stand for half of what they say, as codes are twice theirs.
struct HalvedE8M0 {
  std::uint8_t bits;
};
struct HalvedUE4M3 {
  std::uint8_t bits;
};
static inline float to_float(HalvedE8M0 scale) { return half_e8m0(scale.bits); }
static inline float to_float(HalvedUE4M3 scale) { return half_ue4m3(scale.bits); }

}  // namespace strata::formats
