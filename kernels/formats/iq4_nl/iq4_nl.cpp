// Owns: IQ4_NL's decode (its specification) and encode. Knows no kernels.
#include "kernels/formats/iq4_nl/iq4_nl.h"

#include "kernels/formats/search.h"

namespace strata::formats {

void IQ4_NL::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const float d = to_float(blocks[b].d);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(kNonlinear[blocks[b].q[i] & 15]);
      out[16 + i] = d * static_cast<float>(kNonlinear[blocks[b].q[i] >> 4]);
    }
  }
}

void IQ4_NL::encode(const float* x, const float* importance, void* row, std::int64_t k) {
  auto* blocks = static_cast<Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, x += block) {
    std::uint8_t codes[block];
    blocks[b].d = search_nonlinear(x, importance, codes);
    if (importance) importance += block;
    for (int i = 0; i < 16; ++i) blocks[b].q[i] = static_cast<std::uint8_t>(codes[i] | codes[16 + i] << 4);
  }
}

}  // namespace strata::formats
