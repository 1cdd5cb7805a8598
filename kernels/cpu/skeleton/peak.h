// Owns: the loops that measure the peak of an instruction set. Knows no instruction: `P` has the registers and words of one.
#pragma once

#include <cstdint>

#include "kernels/cpu/peak.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

/// P: Ints, ints(p), add_dot(sum, x), int8_operations of one of these, int8_chains that hide its latency, number(Ints);
/// likewise F, floats(p), fma(sum, x), f32_operations, f32_chains, number(F). Each step must need the chain's last result for
/// each of its instructions, so that none can be taken out of the loop; each chain starts from bytes of its own, so that no
/// two can be made one.
template <class P>
std::int64_t peak_int8(const void* seed, std::int64_t rounds, float* sink) {
  static_assert(P::int8_chains * 64 <= kPeakSeedBytes);
  typename P::Ints sums[P::int8_chains];
  const typename P::Ints x = P::ints(seed);
  unroll<P::int8_chains>([&](auto i) __attribute__((always_inline)) { sums[i] = P::ints(static_cast<const char*>(seed) + 64 * i); });
  for (std::int64_t round = 0; round < rounds; ++round)
    unroll<P::int8_chains>([&](auto i) __attribute__((always_inline)) { sums[i] = P::add_dot(sums[i], x); });
  float total = 0;
  unroll<P::int8_chains>([&](auto i) __attribute__((always_inline)) { total += P::number(sums[i]); });
  *sink += total;
  return rounds * P::int8_chains * P::int8_operations;
}

template <class P>
std::int64_t peak_f32(const void* seed, std::int64_t rounds, float* sink) {
  static_assert(P::f32_chains * 64 <= kPeakSeedBytes);
  typename P::F sums[P::f32_chains];
  const typename P::F x = P::floats(seed);
  unroll<P::f32_chains>([&](auto i) __attribute__((always_inline)) { sums[i] = P::floats(static_cast<const char*>(seed) + 64 * i); });
  for (std::int64_t round = 0; round < rounds; ++round)
    unroll<P::f32_chains>([&](auto i) __attribute__((always_inline)) { sums[i] = P::fma(sums[i], x); });
  float total = 0;
  unroll<P::f32_chains>([&](auto i) __attribute__((always_inline)) { total += P::number(sums[i]); });
  *sink += total;
  return rounds * P::f32_chains * P::f32_operations;
}

}  // namespace strata::kernels
