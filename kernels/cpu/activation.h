// Owns: the layout of quantised activation rows. Knows no weight format.
// Internal linkage throughout: translation units compiled for one instruction set include this header.
//
// A row of k elements is planar, so that a row at a 64-byte boundary has all its vector loads aligned:
//   q8_32   int8 q[n]  int16 sums[n / 16]   float d[n / 32]      x[i] = d[i / 32] * q[i]; n is k rounded up to 256, and
//                                                                what is behind the end is 0
//   q8_256  int8 q[k]  int16 sums[k / 16]   float d[k / 256]     x[i] = d[i / 256] * q[i]
// where sums are those of 16 consecutive q.
// All q lie in [-127, 127], which the integer dot products rely on. A block with NaN or infinity in it has d = NaN.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::kernels {

struct ActivationQ8_32 {
  const std::int8_t* q;
  const std::int16_t* sums;
  const float* d;
};
static inline int padded_q8_32(int k) { return (k + 255) & ~255; }
static inline ActivationQ8_32 view_q8_32(const void* row, int k) {
  const auto* bytes = static_cast<const std::int8_t*>(row);
  const int n = padded_q8_32(k);
  return {bytes, reinterpret_cast<const std::int16_t*>(bytes + n), reinterpret_cast<const float*>(bytes + n + n / 8)};
}

struct ActivationQ8_256 {
  const std::int8_t* q;
  const std::int16_t* sums;
  const float* d;
};
static inline ActivationQ8_256 view_q8_256(const void* row, int k) {
  const auto* bytes = static_cast<const std::int8_t*>(row);
  return {bytes, reinterpret_cast<const std::int16_t*>(bytes + k), reinterpret_cast<const float*>(bytes + k + k / 8)};
}

}  // namespace strata::kernels
