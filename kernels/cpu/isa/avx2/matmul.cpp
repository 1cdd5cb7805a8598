// Owns: the weight formats' part of the avx2 table.
#include "kernels/cpu/isa/avx2/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

constinit const FormatRows avx2_formats = FormatTable<Avx2, formats::AllFormats>::rows;

}  // namespace strata::kernels
