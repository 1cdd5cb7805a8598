// Owns: the NVFP4 format: 64 numbers of E2M1 in 4 groups of 16 under a UE4M3 scale each. Knows nothing of kernels or
// files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct NVFP4 {
  static constexpr TensorType type = TensorType::nvfp4;
  static constexpr const char* name = "nvfp4";
  static constexpr int block = 64;
  struct Block {
    std::uint8_t d[4];   ///< the groups' scales; see small_floats.h
    std::uint8_t q[32];  ///< of group g: element i < 8 in the low nibble of byte 8g + i, 8 + i in its high nibble
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(NVFP4::Block) == 36);
template <>
struct FormatOf<NVFP4::type> {
  using List = TypeList<NVFP4>;
};

}  // namespace strata::formats
