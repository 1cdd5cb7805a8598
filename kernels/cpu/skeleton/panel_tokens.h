// Owns: quantised activations as panels are multiplied with them: word by word, each broadcast to all rows. A few tokens
// are taken from their rows. For many, eight at a time are packed side by side first, so that one register leads to all.
// Knows neither formats nor instructions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/skeleton/panel.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

/// A word of activations as a vocabulary gets it: its value, or for those that multiply with one lane of a vector, where the
/// vector begins. (The three others may lie behind what is meant for products, but never outside of it and what follows it.)
template <int lane_>
struct OneOfFour {
  static constexpr int lane = lane_;
  const void* four;
  [[gnu::always_inline]] operator std::int32_t() const { return int_at(static_cast<const char*>(four) + 4 * lane); }
};

/// T tokens of blocks of `Elements`, where they lie. In block b word(t, b, i) are four q; sums(t, b, h) are pair h of
/// `pairs` of sums, here of 16.
template <class View, int Elements, int T>
struct TokenRows {
  static constexpr int pairs = Elements / 32;
  static constexpr bool multiplied = false;
  View x[T];
  template <int i>
  [[gnu::always_inline]] OneOfFour<i % 4> word(int t, int b, Index<i>) const {
    return {x[t].q + Elements * b + 16 * (i / 4)};
  }
  template <int h>
  [[gnu::always_inline]] OneOfFour<h % 4> sums(int t, int b, Index<h>) const {
    return {x[t].sums + Elements / 16 * b + 8 * (h / 4)};
  }
  [[gnu::always_inline]] float d(int t, int b) const { return x[t].d[b]; }
};

/// A block of eight tokens. `sums` are pairs of sums of 16 or 32; or, of blocks of 32, the sums of their `Sums` parts, each
/// multiplied by `times`.
template <int Elements, int Sums, int times = 0>
struct alignas(32) PackedBlock {
  static constexpr int pairs = Sums;
  static constexpr bool multiplied = times != 0;
  std::int32_t words[Elements / 4][8], sums[Sums][8];
  float d[8];
};
/// Tokens from `lane` on.
template <class Block>
struct PackedTokens {
  static constexpr int pairs = Block::pairs;
  static constexpr bool multiplied = Block::multiplied;
  const Block* blocks;
  int lane;
  template <int t>
  [[gnu::always_inline]] OneOfFour<t % 4> word(Index<t>, int b, int i) const {
    return {blocks[b].words[i] + lane + t / 4 * 4};
  }
  template <int t>
  [[gnu::always_inline]] OneOfFour<t % 4> sums(Index<t>, int b, int h) const {
    return {blocks[b].sums[h] + lane + t / 4 * 4};
  }
  [[gnu::always_inline]] float d(int t, int b) const { return blocks[b].d[lane + t]; }
};

/// The sum of a word's two 16-bit numbers.
static inline std::int32_t both(std::int32_t word) { return static_cast<std::int16_t>(word) + (word >> 16); }

template <class V, int Elements, int Sums, int times, class View>
void pack_tokens(const View (&x)[8], int blocks, PackedBlock<Elements, Sums, times>* to) {
  for (int b = 0; b < blocks; ++b, ++to) {
    for (int i = 0; i < Elements; i += 32)
      V::transpose_8([&](int t) { return x[t].q + Elements * b + i; }, to->words[i / 4]);
    for (int t = 0; t < 8; ++t) to->d[t] = x[t].d[b];
    if constexpr (Elements == 256) {
      alignas(32) std::int32_t sums[8][8];
      V::transpose_8([&](int t) { return x[t].sums + 16 * b; }, sums[0]);
      for (int h = 0; h < Sums; ++h)
        for (int t = 0; t < 8; ++t)
          to->sums[h][t] = Sums == 8 ? sums[h][t] : (both(sums[2 * h][t]) & 0xffff) | both(sums[2 * h + 1][t]) << 16;
    } else {
      for (int t = 0; t < 8; ++t) {
        const std::int32_t pair = int_at(x[t].sums + 2 * b);
        if constexpr (times == 0) {
          to->sums[0][t] = pair;
        } else if constexpr (Sums == 1) {
          to->sums[0][t] = times * both(pair);
        } else {
          to->sums[0][t] = times * static_cast<std::int16_t>(pair);
          to->sums[1][t] = times * (pair >> 16);
        }
      }
    }
  }
}

}  // namespace strata::kernels
