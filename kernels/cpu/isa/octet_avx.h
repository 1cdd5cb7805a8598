// Owns: eight float lanes of the x86 vocabularies, for what is done once for eight blocks. Needs AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/formats/half.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {
namespace {

struct OctetAvx {
  using F = __m256;
  using Ints = __m256i;
  struct Halves {
    Ints first, second;
  };
  static F zero() { return _mm256_setzero_ps(); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F to_float(Ints a) { return _mm256_cvtepi32_ps(a); }
  static F add_product(F sum, F factor, Ints a) { return _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(a), sum); }
  static float sum(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }

  static F make(const formats::Half (&s)[8]) {
    const auto bits = [&](int i) __attribute__((always_inline)) { return static_cast<short>(s[i].bits); };
    return _mm256_cvtph_ps(_mm_setr_epi16(bits(0), bits(1), bits(2), bits(3), bits(4), bits(5), bits(6), bits(7)));
  }
  template <class Scale>
  [[gnu::always_inline]] static __m128i bytes(const Scale (&s)[8]) {
    const auto at = [&](int i) __attribute__((always_inline)) { return static_cast<char>(s[i].bits); };
    return _mm_setr_epi8(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), 0, 0, 0, 0, 0, 0, 0, 0);
  }
  static F make(const formats::HalvedE8M0 (&s)[8]) {  // as formats::half_e8m0 makes them
    const __m256i exponents = _mm256_cvtepu8_epi32(bytes(s));
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(exponents, _mm256_set1_epi32(1)), 23);
    const __m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x200000), exponents);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(normal, tiny, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponents)));
  }
  static F make(const formats::HalvedUE4M3 (&s)[8]) {  // as formats::half_ue4m3 makes them
    const __m128i words = _mm_cvtepu8_epi16(bytes(s)), nan = _mm_set1_epi16(0x7f);
    const __m128i some = _mm_and_si128(words, _mm_andnot_si128(_mm_cmpeq_epi16(words, nan), nan));
    return _mm256_mul_ps(_mm256_cvtph_ps(_mm_slli_epi16(some, 7)), _mm256_set1_ps(128.0f));
  }

  /// Of activations: the sums of eight parts, and of their halves.
  static Ints sums_of_32(const std::int16_t* p) {
    return _mm256_madd_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_set1_epi16(1));
  }
  static Halves sums_of_16(const std::int16_t* p) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm256_srai_epi32(_mm256_slli_epi32(v, 16), 16), _mm256_srai_epi32(v, 16)};
  }
  /// Eight words at row(0) to row(7): to[8 w + t] is word w of row t.
  template <class Row>
  [[gnu::always_inline]] static void transpose(const Row& row, std::int32_t* to) {
    __m256i a[8], b[8];
    for (int t = 0; t < 8; ++t) a[t] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row(t)));
    for (int t = 0; t < 8; t += 2) b[t] = _mm256_unpacklo_epi32(a[t], a[t + 1]), b[t + 1] = _mm256_unpackhi_epi32(a[t], a[t + 1]);
    for (int t = 0; t < 8; t += 4)
      for (int i = 0; i < 2; ++i) {
        a[t + 2 * i] = _mm256_unpacklo_epi64(b[t + i], b[t + i + 2]);
        a[t + 2 * i + 1] = _mm256_unpackhi_epi64(b[t + i], b[t + i + 2]);
      }
    // a[4 q + i]: words i and 4 + i of rows 4 q to 4 q + 3.
    auto* out = reinterpret_cast<__m256i*>(to);
    for (int i = 0; i < 4; ++i) {
      _mm256_store_si256(out + i, _mm256_permute2x128_si256(a[i], a[4 + i], 0x20));
      _mm256_store_si256(out + 4 + i, _mm256_permute2x128_si256(a[i], a[4 + i], 0x31));
    }
  }
  /// a - factor * b
  template <int factor>
  static Ints less_times(Ints a, Ints b) {
    return _mm256_sub_epi32(a, _mm256_mullo_epi32(b, _mm256_set1_epi32(factor)));
  }
};

}  // namespace
}  // namespace strata::kernels
