// Owns: the weight formats' part of the scalar table.
#include "kernels/cpu/isa/scalar/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/formats/all.h"

namespace strata::kernels {

constinit const FormatRows scalar_formats = FormatTable<Scalar, formats::AllFormats>::rows;

}  // namespace strata::kernels
