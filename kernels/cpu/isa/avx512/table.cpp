// Owns: the avx512 table.
#include "kernels/cpu/isa/avx512/cache.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/table.h"
#if STRATA_XSIMD
#include <xsimd/xsimd.hpp>
#endif

namespace strata::kernels {
namespace {

struct Avx512Table : Avx512Cache {
#if STRATA_XSIMD
  using Batch = xsimd::batch<float, xsimd::avx512bw>;
#else
  using Batch = Lane<Avx512>;
#endif
};

}  // namespace

constinit const IsaKernels avx512_table = make_table<Avx512Table>(has_avx512, avx512_formats);

}  // namespace strata::kernels
