// Owns: the peak loops of avx_vnni: what its dot products of bytes and its multiply-adds reach.
#include "kernels/cpu/isa/avx2/peak.h"
#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {
namespace {

struct AvxVnniPeak : Avx2Peak {
  static constexpr int int8_chains = 12;
  static Ints add_dot(Ints sum, Ints x) { return _mm256_dpbusd_epi32(sum, x, x); }
};

}  // namespace

constinit const PeakLoops avx_vnni_peaks = {peak_int8<AvxVnniPeak>, peak_f32<AvxVnniPeak>};

}  // namespace strata::kernels
