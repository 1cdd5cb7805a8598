// Owns: IQ2_XS's grid and its decode (its specification). Knows no kernels.
#include "kernels/formats/iq2_xs/iq2_xs.h"

namespace strata::formats {

namespace {
/// Its vectors have an even sum of digits, so all their numbers are even: bit b is number 2b.
constexpr std::uint64_t members[] = {
    0x9bcffe1b79bfdfff, 0xfc01102984de0134, 0x221309bc0261779b, 0x53f8008003409800, 0x0480020138804126,
    0xbcdfe14000012010, 0xc0c100984de01389, 0x41b09bc000100805, 0x2080000010098002, 0x2008203300000100,
    0x0000000200000500, 0x20100984ff000008, 0x001004000404804c, 0x08000001809a0020, 0x0000101040004200,
    0x0002040100219400, 0x1a00004100104000, 0x309bc02653f9bfc0, 0x8000001819880a01, 0x00241301040261b7,
    0x2600000480110800, 0x0809004200011140, 0x49bc000000000800, 0x0000030298002013, 0x0221380000040008,
    0x0004800000910084, 0x0088082200400040, 0x0000000018400100, 0x1044100980080000, 0x04000000000000c0,
    0x0000000081010002, 0x0000004000014020, 0x0000100000040000, 0x0440002000000020, 0x017c00c027137800,
    0x0180002010000242, 0x1000200808040e69, 0x4001000020080000, 0x0000022006100202, 0x1342240002000000,
    0x0100040100101020, 0x000a008020000000, 0x0600004000000049, 0x2000000000010000, 0x0000001000020000,
    0x000221b000040004, 0x0168000480000100, 0x8000080002010004, 0x0000000000000000, 0x4800000b08020080,
    0x0030000030000002, 0x0000000000010100,
};
constexpr std::uint8_t digits[] = {8, 25, 43};
}  // namespace

constinit const GridOf8<512> IQ2_XS::grid = expand_grid<GridOf8<512>, 2, 512>(digits, members);

void IQ2_XS::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d) * 0.125f;
    for (int e = 0; e < block; ++e) {
      const std::uint32_t vector = in.vectors[e / 8];
      const int scale = (in.scales[e / 32] >> 4 * (e / 16 % 2) & 15) * 2 + 1;
      const int magnitude = static_cast<int>(grid.vector[vector & 511] >> 8 * (e % 8) & 255);
      const bool negative = with_parity(vector >> 9) >> e % 8 & 1;
      out[e] = d * static_cast<float>(scale) * static_cast<float>(negative ? -magnitude : magnitude);
    }
  }
}

}  // namespace strata::formats
