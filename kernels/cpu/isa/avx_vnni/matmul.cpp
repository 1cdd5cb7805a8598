// Owns: the weight formats' part of the avx_vnni table.
#include "kernels/cpu/isa/avx_vnni/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

constinit const FormatRows avx_vnni_formats = FormatTable<AvxVnni, formats::AllFormats>::rows;

}  // namespace strata::kernels
