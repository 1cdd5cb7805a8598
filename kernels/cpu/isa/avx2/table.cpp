// Owns: the avx2 table.
#include "kernels/cpu/isa/avx2/table.h"

#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/table.h"

namespace strata::kernels {

constinit const IsaKernels avx2_table = make_table<Avx2Table>(has_avx2, avx2_formats);

}  // namespace strata::kernels
