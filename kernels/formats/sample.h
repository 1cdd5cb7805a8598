// Owns: random rows of formats that cannot be written, for tests and benchmarks. Knows no block layout.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/formats/list.h"

namespace strata::formats {

/// Fills a row of k elements with random bytes from bits(), 64 at a call. Each block is drawn until the largest
/// magnitude of its weights lies in (0.25, 4), so that sums over several blocks show an error in any of them.
template <class Bits>
void random_blocks(const Format& format, Bits&& bits, void* row, std::int64_t k) {
  constexpr int longest = 256;
  const TypeInfo& info = *type_info(format.type);
  float values[longest];
  const auto moderate = [&] {
    float peak = 0;
    for (std::uint32_t i = 0; i < info.block; ++i) {
      if (!std::isfinite(values[i])) return false;
      peak = std::fmax(peak, std::fabs(values[i]));
    }
    return peak > 0.25f && peak < 4.0f;
  };
  auto* block = static_cast<std::uint8_t*>(row);
  for (std::int64_t b = 0; b < k / info.block; ++b, block += info.bytes) do {
      for (std::uint32_t i = 0; i < info.bytes; ++i) block[i] = static_cast<std::uint8_t>(bits());
      format.decode(block, values, info.block);
    } while (!moderate());
}

}  // namespace strata::formats
