// Owns: TQ1_0's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/tq1_0/tq1_0.h"

#include "kernels/formats/search_ternary.h"

namespace strata::formats {

void TQ1_0::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int e = 0; e < block; ++e) {
      const auto [byte, digit] = place(e);
      const int code = (blocks[b].q[byte] * kPowersOf3[digit] & 255) * 3 >> 8;
      out[e] = static_cast<float>(code - 1) * d;
    }
  }
}

void TQ1_0::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    blocks[b].d = search_ternary(x, importance, block, codes);
    if (importance) importance += block;
    int number[52] = {};  // of five digits in base 3
    for (int e = 0; e < block; ++e) number[place(e).byte] += codes[e] * kPowersOf3[4 - place(e).digit];
    for (int i = 0; i < 52; ++i) blocks[b].q[i] = static_cast<std::uint8_t>((number[i] * 256 + 242) / 243);
  }
}

}  // namespace strata::formats
