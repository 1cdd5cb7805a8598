// Owns: the avx_vnni table. All but the weight formats is AVX2's, compiled once more.
#include "kernels/cpu/isa/avx2/cache.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/table.h"
#if STRATA_XSIMD
#include <xsimd/xsimd.hpp>
#endif

namespace strata::kernels {
namespace {

struct AvxVnniTable : Avx2Cache {
  static constexpr const char* name = "avx_vnni";
#if STRATA_XSIMD
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
#else
  using Batch = Lane<Avx2>;
#endif
};

}  // namespace

constinit const IsaKernels avx_vnni_table = make_table<AvxVnniTable>(has_avx_vnni, avx_vnni_formats);

}  // namespace strata::kernels
