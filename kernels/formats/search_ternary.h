// Owns: the search for the scale of ternary codes. Knows no block layout.
#pragma once

#include <cstdint>

#include "kernels/formats/half.h"

namespace strata::formats {

/// x[i] ~ d * (codes[i] - 1), codes in [0, 2], n <= 256, with the least squared error, weighted by importance where
/// there is one. Any input is taken, also NaN and infinity; the codes are then meaningless but in range.
Half search_ternary(const float* x, const float* importance, int n, std::uint8_t* codes);

}  // namespace strata::formats
