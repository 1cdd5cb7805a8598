// Owns: the peak loops of avx512: what its dot products of bytes and its multiply-adds reach.
#include <immintrin.h>

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {
namespace {

struct Avx512Peak {
  using Ints = __m512i;
  static constexpr int int8_operations = 128, int8_chains = 12;
  static Ints ints(const void* p) { return _mm512_loadu_si512(p); }
  static Ints add_dot(Ints sum, Ints x) { return _mm512_dpbusd_epi32(sum, x, x); }
  static float number(Ints a) { return static_cast<float>(_mm_cvtsi128_si32(_mm512_castsi512_si128(a))); }

  using F = __m512;
  static constexpr int f32_operations = 32, f32_chains = 12;
  static F floats(const void* p) { return _mm512_loadu_ps(p); }
  static F fma(F sum, F x) { return _mm512_fmadd_ps(sum, x, x); }
  static float number(F a) { return _mm512_cvtss_f32(a); }
};

}  // namespace

constinit const PeakLoops avx512_peaks = {peak_int8<Avx512Peak>, peak_f32<Avx512Peak>};

}  // namespace strata::kernels
