// Owns: the weight formats' part of the avx512 table.
#include "kernels/cpu/isa/avx512/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

constinit const FormatRows avx512_formats = FormatTable<Avx512, formats::AllFormats>::rows;

}  // namespace strata::kernels
