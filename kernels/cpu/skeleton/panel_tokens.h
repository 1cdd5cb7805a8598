// Owns: quantised activations as panels are multiplied with them: word by word, each broadcast to all rows. A few tokens
// are taken from their rows. For many, eight at a time are packed side by side first, so that one register leads to all.
// Knows neither formats nor instructions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/skeleton/panel.h"

namespace strata::kernels {

/// T tokens of blocks of `Elements`, where they lie. In block b word(t, b, i) are four q; sums(t, b, h) are pair h of
/// `pairs` of sums, here of 16.
template <class View, int Elements, int T>
struct TokenRows {
  static constexpr int pairs = Elements / 32;
  View x[T];
  [[gnu::always_inline]] std::int32_t word(int t, int b, int i) const { return int_at(x[t].q + Elements * b + 4 * i); }
  [[gnu::always_inline]] std::int32_t sums(int t, int b, int h) const { return int_at(x[t].sums + Elements / 16 * b + 2 * h); }
  [[gnu::always_inline]] float d(int t, int b) const { return x[t].d[b]; }
};

/// A block of eight tokens. `sums` are pairs of sums of 16, or of 32 elements.
template <int Elements, int Pairs>
struct alignas(32) PackedBlock {
  static constexpr int pairs = Pairs;
  std::int32_t words[Elements / 4][8], sums[Pairs][8];
  float d[8];
};
/// Tokens from `lane` on.
template <class Block>
struct PackedTokens {
  static constexpr int pairs = Block::pairs;
  const Block* blocks;
  int lane;
  [[gnu::always_inline]] std::int32_t word(int t, int b, int i) const { return blocks[b].words[i][lane + t]; }
  [[gnu::always_inline]] std::int32_t sums(int t, int b, int h) const { return blocks[b].sums[h][lane + t]; }
  [[gnu::always_inline]] float d(int t, int b) const { return blocks[b].d[lane + t]; }
};

/// The sum of a word's two 16-bit numbers.
static inline std::int32_t both(std::int32_t word) { return static_cast<std::int16_t>(word) + (word >> 16); }

template <class V, int Elements, int Pairs, class View>
void pack_tokens(const View (&x)[8], int blocks, PackedBlock<Elements, Pairs>* to) {
  constexpr int groups = Elements / 32;  // words of two sums of 16
  for (int b = 0; b < blocks; ++b, ++to) {
    for (int i = 0; i < Elements; i += 32)
      V::transpose_8([&](int t) { return x[t].q + Elements * b + i; }, to->words[i / 4]);
    alignas(32) std::int32_t sums[8][8];
    if constexpr (groups == 8) V::transpose_8([&](int t) { return x[t].sums + 16 * b; }, sums[0]);
    for (int t = 0; t < 8; ++t) {
      if constexpr (groups < 8) sums[0][t] = int_at(x[t].sums + 2 * b);
      for (int h = 0; h < Pairs; ++h)
        to->sums[h][t] = Pairs == groups ? sums[h][t] : (both(sums[2 * h][t]) & 0xffff) | both(sums[2 * h + 1][t]) << 16;
      to->d[t] = x[t].d[b];
    }
  }
}

}  // namespace strata::kernels
