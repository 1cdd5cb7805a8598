// Owns: the words of all kernels but the products for AVX2.
#pragma once

#include "kernels/cpu/isa/avx2/cache.h"
#include "kernels/cpu/skeleton/lane.h"
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
}  // namespace strata::kernels
