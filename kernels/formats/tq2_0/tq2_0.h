// Owns: the TQ2_0 format: 256 codes of 2 bits under one scale, w = d * (u - 1), for ternary weights. Knows nothing of
// kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/half.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct TQ2_0 {
  static constexpr TensorType type = TensorType::tq2_0;
  static constexpr const char* name = "tq2_0";
  static constexpr int block = 256;
  struct Block {
    std::uint8_t q[64];  ///< element i of quarter p of half h: bits 2p and 2p + 1 of byte 32h + i
    Half d;
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(TQ2_0::Block) == 66);
template <>
struct FormatOf<TQ2_0::type> {
  using List = TypeList<TQ2_0>;
};

}  // namespace strata::formats
