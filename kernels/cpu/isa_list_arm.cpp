// Owns: the tables of a build for 64-bit Arm, best first. Knows their getters only.
#include "kernels/cpu/isa/tables.h"

namespace strata::kernels {

std::span<const IsaKernels* const> isa_tables() {
  static const IsaKernels* const tables[] = {&neon_table(), &scalar_table()};
  return tables;
}

}  // namespace strata::kernels
