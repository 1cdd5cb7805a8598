// Owns: the Q1_0 format: 128 signs under one scale, w = d or -d. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q1_0 {
  static constexpr TensorType type = TensorType::q1_0;
  static constexpr const char* name = "q1_0";
  static constexpr int block = 128;
  struct Block {
    Half d;
    std::uint8_t q[16];  ///< bit i % 8 of byte i / 8: whether element i is d
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q1_0::Block) == 18);
template <>
struct FormatOf<Q1_0::type> {
  using List = TypeList<Q1_0>;
};

}  // namespace strata::formats
