// Owns: the two 16-bit float types and their conversions by bit arithmetic. Knows no block format and no vector.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
#pragma once

#include <cstdint>
#include <cstring>

namespace strata::formats {

/// IEEE 754 binary16.
struct Half {
  std::uint16_t bits;
};
/// The upper half of an IEEE 754 binary32.
struct Bfloat {
  std::uint16_t bits;
};

static inline float float_from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

static inline std::uint32_t float_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// Exact. A signalling NaN becomes quiet, as the conversion instructions make it.
static inline float to_float(Half h) {
  const std::uint32_t sign = (h.bits & 0x8000u) << 16, exponent = (h.bits >> 10) & 31u, fraction = h.bits & 1023u;
  if (exponent == 0) {  // subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return float_from_bits(sign | float_bits(magnitude));
  }
  if (exponent == 31) return float_from_bits(sign | 0x7f800000u | (fraction ? 0x400000u : 0u) | fraction << 13);
  return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/// Rounds to nearest, ties to even; from 65520 on to infinity. NaN stays NaN (quiet).
static inline Half to_half(float value) {
  const std::uint32_t bits = float_bits(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  std::uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  } else if (magnitude >= 0x477ff000u) {
    half = 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits
    half = float_bits(float_from_bits(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23)) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | half)};
}

static inline float to_float(Bfloat b) { return float_from_bits(static_cast<std::uint32_t>(b.bits) << 16); }

/// Rounds to nearest, ties to even. NaN stays NaN (quiet).
static inline Bfloat to_bfloat(float value) {
  const std::uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 64u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace strata::formats
