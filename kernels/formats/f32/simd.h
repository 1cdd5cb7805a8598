// Owns: how F32 rows are multiplied: as floats. Knows no instruction.
#pragma once

#include "kernels/formats/f32/f32.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::F32> {
  using Tile = FloatTile<V, formats::F32::Block>;
};

}  // namespace strata::kernels
