// Owns: the searches that encoders of 256-element blocks share: weighted least squares over candidate scales.
// Knows no block layout. Any input is taken, also NaN and infinity; the codes are then meaningless but in range.
#pragma once

#include <cstdint>

#include "kernels/formats/half.h"

namespace strata::formats {

/// x[i] ~ d * scale[s] * codes[i] - dmin * min[s] for i in sub-block s of 32 elements; scale and min below 64.
struct AffineBlock {
  Half d, dmin;
  std::uint8_t scale[8], min[8];
};
AffineBlock search_affine(const float x[256], int max_code, std::uint8_t codes[256]);

/// x[i] ~ d * scales[i / 16] * (codes[i] - 32), codes below 64; returns d.
Half search_symmetric(const float x[256], std::int8_t scales[16], std::uint8_t codes[256]);

}  // namespace strata::formats
