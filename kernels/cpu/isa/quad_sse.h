// Owns: four float lanes of the x86 vocabularies, for what is done once for four blocks. Needs FMA.
#pragma once

#include <immintrin.h>

#include "kernels/formats/half.h"

namespace strata::kernels {
namespace {

struct QuadSse {
  using F = __m128;
  using Ints = __m128i;
  static F zero() { return _mm_setzero_ps(); }
  static F set(float x) { return _mm_set1_ps(x); }
  static F make(float a, float b, float c, float d) { return _mm_setr_ps(a, b, c, d); }
  static F make(formats::Half a, formats::Half b, formats::Half c, formats::Half d) {
    const auto bits = [](formats::Half h) { return static_cast<short>(h.bits); };
    return _mm_cvtph_ps(_mm_setr_epi16(bits(a), bits(b), bits(c), bits(d), 0, 0, 0, 0));
  }
  static F load(const float* p) { return _mm_loadu_ps(p); }
  static F mul(F a, F b) { return _mm_mul_ps(a, b); }
  static F add_product(F sum, F factor, Ints a) { return _mm_fmadd_ps(factor, _mm_cvtepi32_ps(a), sum); }
  static F subtract_product(F sum, F factor, Ints a) { return _mm_fnmadd_ps(factor, _mm_cvtepi32_ps(a), sum); }
  static float sum(F a) {
    const __m128 x = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  /// The sum of each one's lanes.
  static Ints sums(Ints a, Ints b, Ints c, Ints d) {
    const __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    const __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
  }
};

}  // namespace
}  // namespace strata::kernels
