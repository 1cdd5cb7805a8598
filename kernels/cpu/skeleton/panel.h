// Owns: panels: rows of weights side by side, so that one vector holds the same word of each row, and no sum runs across
// lanes. Knows neither a format's layout nor an instruction.
//
// A panel of V::panel_rows rows takes as many bytes as they do: first the whole words of their blocks, block by block and
// word by word, each of all rows; then the bytes that are left of each block, block by block, each of all rows. So a
// panel can stand where its rows stood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/bits.h"
#include "kernels/formats/half.h"
#include "kernels/formats/lanes.h"

namespace strata::kernels {

/// One block of each row of a panel, as formats read it: the word that begins at byte `offset` of each.
template <class V, class Block>
struct RowsOfBlocks {
  static constexpr int rows = V::panel_rows, words = sizeof(Block) / 4, rest = sizeof(Block) % 4;
  /// What is left of a block is its scale, before the words or behind them.
  static constexpr int first_word = [] {
    if constexpr (rest == 0 || !requires(const Block& b) { b.d; }) return rest;
    else return offsetof(Block, d) == 0 ? rest : 0;
  }();
  const char* of_words;
  const char* of_rest;

  typename V::Words word(int offset) const {
    return formats::load<typename V::Words>(of_words + static_cast<std::ptrdiff_t>(offset - first_word) * rows);
  }
  /// What is left of the blocks.
  template <class Left>
  const Left* left() const {
    static_assert(sizeof(Left) == rest);
    return reinterpret_cast<const Left*>(of_rest);
  }
};

template <class V, class Block>
struct Interleaved {
  using Rows = RowsOfBlocks<V, Block>;
  static constexpr int rows = Rows::rows, words = Rows::words, rest = Rows::rest;
  static constexpr int bytes = rows * static_cast<int>(sizeof(Block));  ///< of one block of each row

  static Rows at(const void* panel, int blocks, int b) {
    const char* begin = static_cast<const char*>(panel);
    return {begin + static_cast<std::ptrdiff_t>(b) * 4 * words * rows,
            begin + (static_cast<std::ptrdiff_t>(blocks) * 4 * words + static_cast<std::ptrdiff_t>(b) * rest) * rows};
  }

  /// The panel of `rows` rows, `stride` bytes apart.
  static void make(const void* from, std::size_t stride, int blocks, void* to) {
    char* out = static_cast<char*>(to);
    char* left = out + static_cast<std::ptrdiff_t>(blocks) * 4 * words * rows;
    for (int b = 0; b < blocks; ++b) {
      const char* block = static_cast<const char*>(from) + static_cast<std::ptrdiff_t>(b) * static_cast<int>(sizeof(Block));
      const auto row = [&](int r) { return block + static_cast<std::size_t>(r) * stride; };
      for (int w = 0; w < words; ++w, out += 4 * rows)
        for (int r = 0; r < rows; ++r) std::memcpy(out + 4 * r, row(r) + Rows::first_word + 4 * w, 4);
      if constexpr (rest > 0)
        for (int r = 0; r < rows; ++r, left += rest) std::memcpy(left, row(r) + (Rows::first_word > 0 ? 0 : 4 * words), rest);
    }
  }

  /// Row r of a panel as it was.
  static void extract(const void* panel, int r, int blocks, void* to) {
    for (int b = 0; b < blocks; ++b) {
      const Rows from = at(panel, blocks, b);
      char* block = static_cast<char*>(to) + static_cast<std::ptrdiff_t>(b) * static_cast<int>(sizeof(Block));
      for (int w = 0; w < words; ++w) std::memcpy(block + Rows::first_word + 4 * w, from.of_words + 4 * (w * rows + r), 4);
      if constexpr (rest > 0) std::memcpy(block + (Rows::first_word > 0 ? 0 : 4 * words), from.of_rest + rest * r, rest);
    }
  }
};

/// How far ahead stored panels are fetched. Measured: 4 KiB is too near for some, 32 KiB good for all.
inline constexpr int kFetchAhead = 32768;

static inline std::int32_t int_at(const void* p) { return static_cast<std::int32_t>(formats::load32(p)); }

/// body(r, t) for all rows' panels and tokens, unrolled.
template <int R, int T, class Body>
[[gnu::always_inline]] inline void for_each_of(const Body& body) {
  unroll<R>([&](auto r) __attribute__((always_inline)) { unroll<T>([&](auto t) __attribute__((always_inline)) { body(r, t); }); });
}

/// The sums of products of N words of codes, word(r, i) of panel r, with the words q(t, i) of activations:
/// done(r, t, sum) gets each, begin(r, t) at first, for some words at a time: as many as such a sum, a V::Narrow, can hold.
template <class V, int R, int T, int N, int at_once, class Word, class Activation, class Begin, class Done>
[[gnu::always_inline]] inline void multiply_words(const Word& word, const Activation& q, const Begin& begin, const Done& done) {
  constexpr int some = N < at_once ? N : at_once;
  unroll<N / some>([&](auto n) __attribute__((always_inline)) {
    typename V::Narrow sum[R][T];
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { sum[r][t] = begin(r, t); });
    unroll<some>([&](auto i) __attribute__((always_inline)) {
      constexpr Index<some * n + i> at;
      decltype(word(Index<0>(), at)) codes[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { codes[r] = word(r, at); });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const typename V::Ints x = V::set_ints(q(t, at));
        unroll<R>([&](auto r) __attribute__((always_inline)) { sum[r][t] = V::add_words(sum[r][t], codes[r], x); });
      });
    });
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { done(r, t, sum[r][t]); });
  });
}

}  // namespace strata::kernels
