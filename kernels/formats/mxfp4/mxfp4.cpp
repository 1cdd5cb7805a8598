// Owns: MXFP4's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/mxfp4/mxfp4.h"

#include <algorithm>
#include <cmath>

#include "kernels/formats/search_e2m1.h"
#include "kernels/formats/small_floats.h"

namespace strata::formats {

void MXFP4::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = half_e8m0(blocks[b].e);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(kTwiceE2M1[blocks[b].q[i] & 15]) * d;
      out[16 + i] = static_cast<float>(kTwiceE2M1[blocks[b].q[i] >> 4]) * d;
    }
  }
}

void MXFP4::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    // The power that takes the largest number to [4, 8), where 6 is the largest code, and those around it.
    float largest = 0;
    for (int i = 0; i < block; ++i) largest = std::max(largest, std::fabs(x[i]));
    const int middle = largest > 0 ? std::clamp(std::ilogb(largest), -124, 128) - 2 + 127 : 1;
    std::uint8_t codes[block];
    E2M1Search search(x, importance, block, codes);
    for (const int e : {middle, middle + 1, middle - 1})
      if (search.try_scale(half_e8m0(static_cast<std::uint8_t>(e)))) blocks[b].e = static_cast<std::uint8_t>(e);
    if (importance) importance += block;
    for (int i = 0; i < 16; ++i) blocks[b].q[i] = static_cast<std::uint8_t>(codes[i] | codes[16 + i] << 4);
  }
}

}  // namespace strata::formats
