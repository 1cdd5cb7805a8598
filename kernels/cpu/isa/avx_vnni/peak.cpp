// Owns: the peak loops of avx_vnni: what its dot products of bytes and its multiply-adds reach.
#include <immintrin.h>

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {
namespace {

struct AvxVnniPeak {
  using Ints = __m256i;
  static constexpr int int8_operations = 64, int8_chains = 12;
  static Ints ints(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Ints add_dot(Ints sum, Ints x) { return _mm256_dpbusd_epi32(sum, x, x); }
  static float number(Ints a) { return static_cast<float>(_mm_cvtsi128_si32(_mm256_castsi256_si128(a))); }

  using F = __m256;
  static constexpr int f32_operations = 16, f32_chains = 12;
  static F floats(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static F fma(F sum, F x) { return _mm256_fmadd_ps(sum, x, x); }
  static float number(F a) { return _mm256_cvtss_f32(a); }
};

}  // namespace

constinit const PeakLoops avx_vnni_peaks = {peak_int8<AvxVnniPeak>, peak_f32<AvxVnniPeak>};

}  // namespace strata::kernels
