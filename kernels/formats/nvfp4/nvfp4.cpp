// Owns: NVFP4's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/nvfp4/nvfp4.h"

#include <algorithm>
#include <cmath>

#include "kernels/formats/search_e2m1.h"
#include "kernels/formats/small_floats.h"

namespace strata::formats {

void NVFP4::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b)
    for (int g = 0; g < 4; ++g, out += 16) {
      const float d = half_ue4m3(blocks[b].d[g]);
      for (int i = 0; i < 8; ++i) {
        out[i] = static_cast<float>(kTwiceE2M1[blocks[b].q[8 * g + i] & 15]) * d;
        out[8 + i] = static_cast<float>(kTwiceE2M1[blocks[b].q[8 * g + i] >> 4]) * d;
      }
    }
}

void NVFP4::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  constexpr int greatest = 0x7e;  // 448
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b)
    for (int g = 0; g < 4; ++g, x += 16) {
      // The greatest scale that takes the largest number to 6 or above, the largest code, and those around it.
      float largest = 0;
      for (int i = 0; i < 16; ++i) largest = std::max(largest, std::fabs(x[i]));
      int below = 0;
      for (int step = 64; step > 0; step /= 2)
        if (below + step <= greatest && 12 * half_ue4m3(static_cast<std::uint8_t>(below + step)) <= largest) below += step;
      std::uint8_t codes[16];
      E2M1Search search(x, importance, 16, codes);
      for (int scale = std::max(below - 4, 0); scale <= std::min(below + 8, greatest); ++scale)
        if (search.try_scale(half_ue4m3(static_cast<std::uint8_t>(scale)))) blocks[b].d[g] = static_cast<std::uint8_t>(scale);
      if (importance) importance += 16;
      for (int i = 0; i < 8; ++i) blocks[b].q[8 * g + i] = static_cast<std::uint8_t>(codes[i] | codes[8 + i] << 4);
    }
}

}  // namespace strata::formats
