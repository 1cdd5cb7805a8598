// Owns: the Q8_0 format: 32 signed bytes under one scale, w = d * q. Knows nothing of kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct Q8_0 {
  static constexpr TensorType type = TensorType::q8_0;
  static constexpr const char* name = "q8_0";
  static constexpr int block = 32;
  struct Block {
    Half d;
    std::int8_t q[32];
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(Q8_0::Block) == 34);
template <>
struct FormatOf<Q8_0::type> {
  using List = TypeList<Q8_0>;
};

}  // namespace strata::formats
