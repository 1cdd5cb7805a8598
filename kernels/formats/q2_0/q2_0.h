// Owns: the Q2_0 format: 64 codes of 2 bits under one scale, w = d * (u - 1). Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q2_0 {
  static constexpr TensorType type = TensorType::q2_0;
  static constexpr const char* name = "q2_0";
  static constexpr int block = 64;
  struct Block {
    Half d;
    std::uint8_t q[16];  ///< element i in bits 2 (i % 4) and the next of byte i / 4
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q2_0::Block) == 18);
template <>
struct FormatOf<Q2_0::type> {
  using List = TypeList<Q2_0>;
};

}  // namespace strata::formats
