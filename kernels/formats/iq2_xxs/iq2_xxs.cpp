// Owns: IQ2_XXS's grid and its decode (its specification). Knows no kernels.
#include "kernels/formats/iq2_xxs/iq2_xxs.h"

namespace strata::formats {

namespace {
/// Its vectors have an even sum of digits, so all their numbers are even: bit b is number 2b.
constexpr std::uint64_t members[] = {
    0x0040a62099a4f67f, 0x4c00200008060820, 0x3004082c82610598, 0x826900800100c004, 0x0000020020020066,
    0x0442600000000420, 0x0001088041205208, 0x0082824000002100, 0x4080004000400002, 0x0800201300000000,
    0x0000100000000500, 0x0031010026000008, 0x00000c0000044000, 0x0800008100980000, 0x0000000000080200,
    0x0000200000208008, 0x0000100000000000, 0x008040261449a4c0, 0x8001088008800a20, 0x0004200404000104,
    0x2600000000010000, 0x2140000200000140, 0x0ca4020002000000, 0x0000020010012000, 0x0000000800000001,
    0x2000000001001800, 0x2000242000010000, 0x0200000008000000, 0x0100100900000000, 0x0080000008000080,
    0x0000000005000040, 0x0000000020000060, 0x0000000100000000, 0x0000000000000000, 0x0820008002009800,
    0x0000000200000002, 0x2000200008040a60, 0x8000100802004000, 0x0000010000000000, 0x1200000000100000,
    0x0800008010000024, 0x0802000001000000, 0x0000100000000001, 0x0000000000000000, 0x0000000010000040,
    0x0040002000000000, 0x0020000000010002, 0x0000002000000000, 0x0000000000000000, 0x0000020000000000,
    0x0000000000000002, 0x0000000000000000,
};
constexpr std::uint8_t digits[] = {8, 25, 43};
}  // namespace

constinit const GridOf8<256> IQ2_XXS::grid = expand_grid<GridOf8<256>, 2, 256>(digits, members);

void IQ2_XXS::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d) * 0.125f;
    for (int e = 0; e < block; ++e) {
      const std::uint32_t word = load32(in.part[e / 32].signs);
      const int v = e / 8 % 4, scale = static_cast<int>(word >> 28) * 2 + 1;
      const int magnitude = static_cast<int>(grid.vector[in.part[e / 32].place[v]] >> 8 * (e % 8) & 255);
      const bool negative = with_parity(word >> 7 * v & 127) >> e % 8 & 1;
      out[e] = d * static_cast<float>(scale) * static_cast<float>(negative ? -magnitude : magnitude);
    }
  }
}

}  // namespace strata::formats
