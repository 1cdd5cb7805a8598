// Owns: the weight formats' part of the neon table.
#include "kernels/cpu/isa/neon/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

constinit const FormatRows neon_formats = FormatTable<Neon, formats::AllFormats>::rows;

}  // namespace strata::kernels
