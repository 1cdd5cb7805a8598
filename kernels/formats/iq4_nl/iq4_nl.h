// Owns: the IQ4_NL format: 32 codes of 4 bits into uneven levels under one scale, w = d * kNonlinear[u]. Knows nothing
// of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct IQ4_NL {
  static constexpr TensorType type = TensorType::iq4_nl;
  static constexpr const char* name = "iq4_nl";
  static constexpr int block = 32;
  struct Block {
    Half d;
    std::uint8_t q[16];  ///< element i in the low nibble of byte i, element 16 + i in its high nibble
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(IQ4_NL::Block) == 18);
template <>
struct FormatOf<IQ4_NL::type> {
  using List = TypeList<IQ4_NL>;
};

}  // namespace strata::formats
