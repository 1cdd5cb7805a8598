// Owns: the levels of IQ4_NL and IQ4_XS. Knows no block.
// Internal linkage: translation units compiled for one instruction set include this header.
#pragma once

#include <cstdint>

namespace strata::formats {

/// 16 steps that are finer near zero.
static constexpr std::int8_t kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace strata::formats
