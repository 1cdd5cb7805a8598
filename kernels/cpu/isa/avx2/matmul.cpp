// Owns: the weight formats' part of the avx2 table.
#include "kernels/cpu/isa/avx2/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/formats/all_simd.h"

namespace strata::kernels {

std::span<const FormatKernels> avx2_formats() { return FormatTable<Avx2, formats::AllFormats>::rows; }

}  // namespace strata::kernels
