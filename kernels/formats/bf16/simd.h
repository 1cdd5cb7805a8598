// Owns: how BF16 rows are multiplied: as floats. Knows no instruction.
#pragma once

#include "kernels/formats/bf16/bf16.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class V>
struct Simd<V, formats::BF16> {
  using Tile = FloatTile<V, formats::BF16::Block>;
};

}  // namespace strata::kernels
