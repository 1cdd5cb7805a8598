// Owns: how F16 rows are multiplied: as floats. Knows no instruction.
#pragma once

#include "kernels/formats/f16/f16.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::F16> {
  using Tile = FloatTile<V, formats::F16::Block>;
};

}  // namespace strata::kernels
