// Owns: the names of every instruction set's peak loops. Knows no loop. Like the tables they are data, and only some builds
// define each; see isa_list_*.cpp.
#pragma once

#include "kernels/cpu/peak.h"

namespace strata::kernels {

extern const PeakLoops scalar_peaks, avx2_peaks, avx_vnni_peaks, avx512_peaks, neon_peaks;  // isa/<name>/peak.cpp

/// In the order of isa_tables().
std::span<const PeakLoops* const> isa_peaks();

}  // namespace strata::kernels
