// Owns: the avx_vnni kernels in the encoding of AVX-512 VNNI, for processors that have this one alone. Its instructions do the
// same; so wherever AVX-512 runs, the tests of the kernels run on these, too.
#include "kernels/cpu/isa/avx2/cache.h"
#include "kernels/cpu/isa/avx_vnni/vocabulary.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/matmul.h"
#include "kernels/cpu/skeleton/table.h"
#include "kernels/formats/all.h"

namespace strata::test {
namespace {

struct Evex : kernels::Avx2Cache {
  static constexpr const char* name = "avx_vnni";
  using Batch = kernels::Lane<kernels::Avx2>;
};

constinit const kernels::FormatRows evex_formats = kernels::FormatTable<kernels::AvxVnni, formats::AllFormats>::rows;

}  // namespace

extern const kernels::IsaKernels avx_vnni_evex;
constinit const kernels::IsaKernels avx_vnni_evex = kernels::make_table<Evex>(kernels::has_avx512, evex_formats);

}  // namespace strata::test
