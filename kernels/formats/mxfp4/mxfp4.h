// Owns: the MXFP4 format: 32 numbers of E2M1 under one power of two (OCP Microscaling Formats 1.0). Knows nothing of
// kernels or files.
#pragma once

#include <cstdint>

#include "kernels/formats/format_of.h"
#include "kernels/formats/types.h"

namespace strata::formats {

struct MXFP4 {
  static constexpr TensorType type = TensorType::mxfp4;
  static constexpr const char* name = "mxfp4";
  static constexpr int block = 32;
  struct Block {
    std::uint8_t e;      ///< the scale in E8M0: 2^(e - 127)
    std::uint8_t q[16];  ///< element i in the low nibble of byte i, element 16 + i in its high nibble
  };

  static void decode(const void* row, float* out, std::int64_t k);
  static void encode(const float* x, const float* importance, void* row, std::int64_t k);
};
static_assert(sizeof(MXFP4::Block) == 17);
template <>
struct FormatOf<MXFP4::type> {
  using List = TypeList<MXFP4>;
};

}  // namespace strata::formats
