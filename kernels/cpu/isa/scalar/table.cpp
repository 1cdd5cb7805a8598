// Owns: the scalar table.
#include "kernels/cpu/isa/scalar/cache.h"
#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/skeleton/lane.h"
#include "kernels/cpu/skeleton/table.h"

namespace strata::kernels {
namespace {

struct ScalarTable : ScalarCache {
  using Batch = Lane<Scalar>;
};

}  // namespace

constinit const IsaKernels scalar_table = make_table<ScalarTable>(always, scalar_formats);

}  // namespace strata::kernels
