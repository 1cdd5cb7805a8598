// Owns: the peak loops of avx2: what its dot products of bytes and its multiply-adds reach.
#include "kernels/cpu/isa/avx2/peak.h"

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {

constinit const PeakLoops avx2_peaks = {peak_int8<Avx2Peak>, peak_f32<Avx2Peak>};

}  // namespace strata::kernels
