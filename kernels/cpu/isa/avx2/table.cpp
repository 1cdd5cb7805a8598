// Owns: the avx2 table.
#include "kernels/cpu/isa/avx2/cache.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/table.h"
#if STRATA_XSIMD
#include <xsimd/xsimd.hpp>
#endif

namespace strata::kernels {
namespace {

struct Avx2Table : Avx2Cache {
#if STRATA_XSIMD
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
#else
  using Batch = Lane<Avx2>;
#endif
};

}  // namespace

constinit const IsaKernels avx2_table = make_table<Avx2Table>(has_avx2, avx2_formats);

}  // namespace strata::kernels
