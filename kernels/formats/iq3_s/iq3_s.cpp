// Owns: IQ3_S's grid and its decode (its specification). Knows no kernels.
#include "kernels/formats/iq3_s/iq3_s.h"

namespace strata::formats {

namespace {
/// Bit b is number b.
constexpr std::uint64_t members[] = {
    0x92050aa5082357a7, 0x0422001022892317, 0x09000aa4112249a3, 0x228005104a052208, 0x0100020904128801,
    0x084000a208450014, 0x0200040002000a40, 0x0000110008450015, 0x040250005205ab17, 0x410005020902114b,
    0x040120090411a401, 0x0104000211820992, 0x000011440a001428, 0x0000020005020902, 0x0000005000910000,
    0x010400022002050a, 0x2980052a058a55ab, 0x0000020412248905, 0x12008802810a0092, 0x004001040a140225,
    0x2400000224090082, 0x0100080180040210, 0x0002200000020085, 0x0000010801400220, 0x020802942a04aa04,
    0x44010001000a102a, 0x0000010014010401, 0x0800208a018a1102, 0x0011040002044208, 0x0800401004200502,
    0x0000000200004000, 0x000000002005000a, 0x0100010204910411, 0x0000220821040a84, 0x010480010802210a,
    0x0000000022050a10, 0x0200000180100005, 0x00040000000200a0, 0x0001000010000800, 0x0000020801002100,
    0x1040049100041104, 0x040000000402042a, 0x0000080041080201, 0x0820021000800184, 0x0000004004010012,
    0x00000a0000400400, 0x0000000400000000, 0x0000000000040014, 0x000100000a002a00, 0x0010000000810001,
    0x0104200410000400, 0x0000000100021001, 0x0004000800200000, 0x0001000010000009, 0x0000000100000020,
    0x0000000000000a00, 0x0004100140050091, 0x0000002800100204, 0x0000020001024112, 0x0000080024000004,
    0x0000010000010822, 0x0000000400040000, 0x0000000002000004, 0x0000000000000001,
};
constexpr std::uint8_t digits[] = {1, 3, 5, 7, 9, 11, 13, 15};
}  // namespace

constinit const GridOf4<512> IQ3_S::grid = expand_grid<GridOf4<512>, 1, 512>(digits, members);

void IQ3_S::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d);
    for (int e = 0; e < block; ++e) {
      const int v = e / 4, place = in.place[v] | (in.high[v / 8] >> v % 8 & 1) << 8;
      const int scale = (in.scales[e / 64] >> 4 * (e / 32 % 2) & 15) * 2 + 1;
      const int magnitude = static_cast<int>(grid.vector[place] >> 8 * (e % 4) & 255);
      const bool negative = in.signs[e / 8] >> e % 8 & 1;
      out[e] = d * static_cast<float>(scale) * static_cast<float>(negative ? -magnitude : magnitude);
    }
  }
}

}  // namespace strata::formats
