// Owns: the searches that the encoders share: least squares over candidate scales, minima and codes. Each block is
// fitted by itself. Knows no block layout. Any input is taken, also NaN and infinity; the codes are then meaningless
// but in range. The same input gives the same bits on every processor.
//
// `importance` (null, or one non-negative number for each element) weighs the squared errors: the sum of squares of the
// activation that an element multiplies is the usual choice. The weighted error is never above that of the encoding
// without importance, because both are made and the better one is kept.
#pragma once

#include <cstdint>

#include "kernels/formats/half.h"
#include "kernels/formats/nonlinear.h"

namespace strata::formats {

// --- one scale for 32 elements -----------------------------------------------------------------------------------------

/// x[i] ~ d * codes[i], codes in [low, high]; low is -16 or -8, high = -low - 1.
Half search_integer(const float x[32], const float* importance, int low, std::int8_t codes[32]);

/// x[i] ~ d * codes[i] + m, codes in [0, max_code]; max_code is 15 or 31.
struct LineBlock {
  Half d, m;
};
LineBlock search_line(const float x[32], const float* importance, int max_code, std::uint8_t codes[32]);

/// x[i] ~ d * kNonlinear[codes[i]]
Half search_nonlinear(const float x[32], const float* importance, std::uint8_t codes[32]);

// --- one scale for 256 elements, and small integers for groups of them -------------------------------------------------

/// x[i] ~ d * scales[i / 16] * codes[i], codes in [low, -low - 1] and scales in [low_scale, -low_scale - 1].
/// (low, low_scale) is (-32, -128) or (-4, -32).
Half search_grouped_integer(const float x[256], const float* importance, int low, int low_scale, std::int8_t scales[16],
                            std::int8_t codes[256]);

/// x[i] ~ d * scales[i / 32] * kNonlinear[codes[i]], scales in [-32, 31].
Half search_grouped_nonlinear(const float x[256], const float* importance, std::int8_t scales[8], std::uint8_t codes[256]);

/// x[i] ~ d * scale[s] * codes[i] - dmin * min[s], for i in group s of 256 / groups elements; codes up to max_code,
/// scale and min up to max_scale.
struct GroupedLines {
  int groups;  ///< 8 or 16
  int max_code, max_scale;
};
struct GroupedLineBlock {
  Half d, dmin;
  std::uint8_t scale[16], min[16];
};
GroupedLineBlock search_grouped_lines(const float x[256], const float* importance, const GroupedLines& shape,
                                      std::uint8_t codes[256]);

}  // namespace strata::formats
