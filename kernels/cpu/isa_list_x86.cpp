// Owns: the tables of a build for x86-64, best first. Knows their names only.
#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/isa/tables.h"

namespace strata::kernels {

std::span<const IsaKernels* const> isa_tables() {
  static constexpr const IsaKernels* const tables[] = {&avx512_table, &avx_vnni_table, &avx2_table, &scalar_table};
  return tables;
}

std::span<const PeakLoops* const> isa_peaks() {
  static constexpr const PeakLoops* const peaks[] = {&avx512_peaks, &avx_vnni_peaks, &avx2_peaks, &scalar_peaks};
  return peaks;
}

}  // namespace strata::kernels
