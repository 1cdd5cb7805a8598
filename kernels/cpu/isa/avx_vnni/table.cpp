// Owns: the avx_vnni table. All but the weight formats is AVX2's, compiled once more.
#include "kernels/cpu/isa/avx2/table.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/table.h"

namespace strata::kernels {
namespace {

struct AvxVnniTable : Avx2Table {
  static constexpr const char* name = "avx_vnni";
};

}  // namespace

constinit const IsaKernels avx_vnni_table = make_table<AvxVnniTable>(has_avx_vnni, avx_vnni_formats);

}  // namespace strata::kernels
