// Owns: the questions to an Arm processor. Compiled with baseline flags.
#if defined(__linux__)
#include <sys/auxv.h>
#endif

#include "kernels/cpu/isa/tables.h"

namespace strata::kernels {

bool always() { return true; }

bool has_dotprod() {
#if defined(__linux__)
  constexpr unsigned long asimd_dotprod = 1ul << 20;  // HWCAP_ASIMDDP, Linux arch/arm64/include/uapi/asm/hwcap.h
  return (getauxval(AT_HWCAP) & asimd_dotprod) != 0;
#elif defined(__APPLE__)
  return true;  // every Apple arm64 processor that runs macOS has them
#else
  return false;
#endif
}

}  // namespace strata::kernels
