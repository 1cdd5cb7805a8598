// Owns: IQ2_S's grid and its decode (its specification). Knows no kernels.
#include "kernels/formats/iq2_s/iq2_s.h"

namespace strata::formats {

namespace {
/// Its vectors have an even sum of digits, so all their numbers are even: bit b is number 2b.
constexpr std::uint64_t members[] = {
    0xfbcdff537fbfdfff, 0xfc45502fc4de6736, 0xe6ff6ffcdbe7fffb, 0x5f7804c26d02f84d, 0x0884da2f38114dff,
    0xbddfe08000434610, 0xc06f37fbffe6d77f, 0x6ff6fbc026032996, 0x36804c26f37f84de, 0x184de2df80040261,
    0x4024200404c26f00, 0x051239d7de000020, 0x12d04402613389ce, 0x6804c26f36fa0300, 0x0202013000502613,
    0x027008004c065000, 0x1820008200400000, 0xf3fbcda67ffbffc0, 0x800c26d27984de6f, 0x4de6ff09bcdfefff,
    0xf6400804c26f009c, 0x100984de01209bcd, 0x7fbc000000804c08, 0x04c26f37f80de6ff, 0xde6ff00060261368,
    0x6000804c26f00984, 0x08984de000000502, 0x404000000804c001, 0x4826d37ba0080000, 0x2012040402613780,
    0x000804c26d100010, 0x0000020204044026, 0x04100400004c0400, 0x0002000000000080, 0x6fb01945e65b7880,
    0x00004c07580980de, 0x984de01309bc5fe0, 0x4000000c04c01100, 0x8010018800013019, 0xfb10083002000000,
    0x0044c06500984de4, 0x84de800000402600, 0x500000804c081009, 0x0140980004040004, 0x00000050000c0000,
    0x004e455008000000, 0x8240002004001200, 0x10000804d01a0006, 0x0000000000004048, 0x1000000808000002,
    0x0016180020080000, 0x0000000000010040,
};
constexpr std::uint8_t digits[] = {8, 25, 43};
}  // namespace

constinit const GridOf8<1024> IQ2_S::grid = expand_grid<GridOf8<1024>, 2, 1024>(digits, members);

void IQ2_S::decode(const void* row, float* out, std::int64_t k) {
  const auto* blocks = static_cast<const Block*>(row);
  for (std::int64_t b = 0; b < k / block; ++b, out += block) {
    const Block& in = blocks[b];
    const float d = to_float(in.d) * 0.125f;
    for (int e = 0; e < block; ++e) {
      const int v = e / 8, place = in.place[v] | (in.high[v / 4] >> 2 * (v % 4) & 3) << 8;
      const int scale = (in.scales[e / 32] >> 4 * (e / 16 % 2) & 15) * 2 + 1;
      const int magnitude = static_cast<int>(grid.vector[place] >> 8 * (e % 8) & 255);
      const bool negative = in.signs[v] >> e % 8 & 1;
      out[e] = d * static_cast<float>(scale) * static_cast<float>(negative ? -magnitude : magnitude);
    }
  }
}

}  // namespace strata::formats
