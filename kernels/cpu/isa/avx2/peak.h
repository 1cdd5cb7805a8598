// Owns: the words of the peak loops for AVX2.
#pragma once

#include <immintrin.h>

namespace strata::kernels {
namespace {

struct Avx2Peak {
  using Ints = __m256i;
  static constexpr int int8_operations = 64, int8_chains = 10;  // beside b, the ones and temporaries in 16 registers
  static Ints ints(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Ints add_dot(Ints sum, Ints x) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(sum, x), _mm256_set1_epi16(1)));
  }
  static float number(Ints a) { return static_cast<float>(_mm_cvtsi128_si32(_mm256_castsi256_si128(a))); }

  using F = __m256;
  static constexpr int f32_operations = 16, f32_chains = 12;
  static F floats(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static F fma(F sum, F x) { return _mm256_fmadd_ps(sum, x, x); }
  static float number(F a) { return _mm256_cvtss_f32(a); }
};

}  // namespace
}  // namespace strata::kernels
