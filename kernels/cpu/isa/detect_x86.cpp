// Owns: the questions to an x86 processor and its operating system. Compiled with baseline flags.
#include <cpuid.h>

#include <cstdint>

#include "kernels/cpu/isa/tables.h"

namespace strata::kernels {
namespace {

struct Features {
  bool avx2 = false, avx_vnni = false, avx512 = false;
};

bool bit(unsigned value, int index) { return (value >> index & 1u) != 0; }

/// XCR0: which register files the operating system saves. Only where CPUID reports OSXSAVE.
std::uint64_t saved_registers() {
  std::uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

Features detect() {  // Intel SDM vol. 2A, CPUID leaves 1 and 7
  Features found;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const bool fma = bit(c, 12), osxsave = bit(c, 27), avx = bit(c, 28), f16c = bit(c, 29);
  if (!osxsave || !avx) return found;
  const std::uint64_t saved = saved_registers();
  if ((saved & 0x6) != 0x6) return found;  // xmm, ymm
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = fma && f16c && bit(b, 5);
  const bool avx512 = bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31) && bit(c, 11);  // F DQ BW VL VNNI
  found.avx512 = found.avx2 && avx512 && (saved & 0xe6) == 0xe6;  // and masks, upper zmm, zmm16-31
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) found.avx_vnni = found.avx2 && bit(a, 4);
  return found;
}

const Features& features() {
  static const Features found = detect();
  return found;
}

}  // namespace

bool always() { return true; }
bool has_avx2() { return features().avx2; }
bool has_avx_vnni() { return features().avx_vnni; }
bool has_avx512() { return features().avx512; }

}  // namespace strata::kernels
