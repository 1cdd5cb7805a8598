// Owns: the answer for processors without a vector table.
#include "kernels/cpu/isa/tables.h"

namespace strata::kernels {

bool always() { return true; }

}  // namespace strata::kernels
