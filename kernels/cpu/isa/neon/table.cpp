// Owns: the neon table.
#include "kernels/cpu/isa/neon/cache.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/table.h"
#if STRATA_XSIMD
#include <xsimd/xsimd.hpp>
#endif

namespace strata::kernels {
namespace {

struct NeonTable : NeonCache {
#if STRATA_XSIMD
  using Batch = xsimd::batch<float, xsimd::neon64>;
#else
  using Batch = Lane<Neon>;
#endif
};

}  // namespace

constinit const IsaKernels neon_table = make_table<NeonTable>(has_dotprod, neon_formats);

}  // namespace strata::kernels
