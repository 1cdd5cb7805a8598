// Owns: panels: rows of weights side by side, so that one vector holds the same word of each row, and no sum runs across
// lanes. Knows neither a format's layout nor an instruction.
//
// A panel of V::panel_rows rows takes as many bytes as they do, so it can stand where they stood. It has one block of all
// rows after the other, and of a block one word of all rows after the other, in the order in which a product first reads
// them: processors notice that memory is read in order, and read ahead. Bytes that are left of a block, its scale, would
// spoil lines of 64 bytes: those of some blocks stand together before their words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <utility>

#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/bits.h"
#include "kernels/formats/half.h"
#include "kernels/formats/lanes.h"

namespace strata::kernels {

/// One block of each row of a panel, as formats read it.
template <class V, class Block, class Unpack>
struct RowsOfBlocks {
  static constexpr int rows = V::panel_rows, words = sizeof(Block) / 4, rest = sizeof(Block) % 4;
  /// Where words begin in a block: what is left of it is its scale, before the words or behind them.
  static constexpr int first_word = [] {
    if constexpr (rest == 0 || !requires(const Block& b) { b.d; }) return rest;
    else return offsetof(Block, d) == 0 ? rest : 0;
  }();
  static constexpr int rest_at = first_word > 0 ? 0 : 4 * words;  ///< where the rest begins
  const char* of_words;
  const char* of_rest;

  /// Where a panel has each word of a block.
  static constexpr auto place = [] {
    std::array<int, words> places{};
    for (int w = 0; w < words; ++w)
      if constexpr (requires { Unpack::place(w); }) places[w] = Unpack::place(w);
      else places[w] = w;
    return places;
  }();
  /// The word that begins at byte `offset` of each block.
  typename V::Words word(int offset) const {
    return formats::load<typename V::Words>(of_words + static_cast<std::ptrdiff_t>(place[(offset - first_word) / 4]) * 4 * rows);
  }
  /// Their scales d, where these are halves: what is left of a block, or the lower half of a word.
  typename V::F d() const {
    if constexpr (rest > 0) return V::load(left<formats::Half>());
    else return V::low_halves(word(offsetof(Block, d)));
  }
  /// The halves behind them, in the same word: the scales of minima, or offsets.
  typename V::F behind_d() const { return V::high_halves(word(offsetof(Block, d))); }
  /// What is left of the blocks.
  template <class Left>
  const Left* left() const {
    static_assert(sizeof(Left) == rest);
    return reinterpret_cast<const Left*>(of_rest);
  }
};

template <class V, class Block, class Unpack>
struct Interleaved {
  using Rows = RowsOfBlocks<V, Block, Unpack>;
  static constexpr int rows = Rows::rows, words = Rows::words, rest = Rows::rest;
  static constexpr int bytes = rows * static_cast<int>(sizeof(Block));  ///< of one block of each row
  static constexpr int group = 64 / std::gcd(64, rest * rows);          ///< blocks whose rests stand together

  /// Where block b has its words, and what is left of it, from the panel's beginning.
  struct Offsets {
    std::ptrdiff_t words, rest;
  };
  static Offsets offsets(int blocks, int b) {
    const int i = b % group, first = b - i, together = blocks - first < group ? blocks - first : group;
    const std::ptrdiff_t begin = static_cast<std::ptrdiff_t>(first) * bytes;
    return {begin + (together * rest + i * 4 * words) * rows, begin + i * rest * rows};
  }
  static Rows at(const void* panel, int blocks, int b) {
    const Offsets from = offsets(blocks, b);
    return {static_cast<const char*>(panel) + from.words, static_cast<const char*>(panel) + from.rest};
  }

  /// The panel of `rows` rows, `stride` bytes apart.
  static void make(const void* from, std::size_t stride, int blocks, void* to) {
    for (int b = 0; b < blocks; ++b) {
      const char* block = static_cast<const char*>(from) + static_cast<std::ptrdiff_t>(b) * static_cast<int>(sizeof(Block));
      const auto row = [&](int r) { return block + static_cast<std::size_t>(r) * stride; };
      const Offsets in_panel = offsets(blocks, b);
      char* of_words = static_cast<char*>(to) + in_panel.words;
      alignas(64) char in_order[4 * words * rows];  // compilers make a good transpose of this
      for (int w = 0; w < words; ++w)
        for (int r = 0; r < rows; ++r) std::memcpy(in_order + 4 * (w * rows + r), row(r) + Rows::first_word + 4 * w, 4);
      for (int w = 0; w < words; ++w)
        std::memcpy(of_words + 4 * rows * Rows::place[w], in_order + 4 * rows * w, 4 * rows);
      if constexpr (rest > 0)
        for (int r = 0; r < rows; ++r) std::memcpy(static_cast<char*>(to) + in_panel.rest + rest * r, row(r) + Rows::rest_at, rest);
    }
  }

  /// Row r of a panel as it was.
  static void extract(const void* panel, int r, int blocks, void* to) {
    for (int b = 0; b < blocks; ++b) {
      const Rows from = at(panel, blocks, b);
      char* block = static_cast<char*>(to) + static_cast<std::ptrdiff_t>(b) * static_cast<int>(sizeof(Block));
      for (int w = 0; w < words; ++w) std::memcpy(block + Rows::first_word + 4 * w, from.of_words + 4 * (Rows::place[w] * rows + r), 4);
      if constexpr (rest > 0) std::memcpy(block + Rows::rest_at, from.of_rest + rest * r, rest);
    }
  }

  /// The lines `ahead` bytes behind block b come nearer.
  [[gnu::always_inline]] static void fetch(const void* panel, int b, std::ptrdiff_t ahead) {
    const char* begin = static_cast<const char*>(panel) + static_cast<std::ptrdiff_t>(b) * bytes;
    unroll<(bytes + 63) / 64>([&](auto line) __attribute__((always_inline)) { V::fetch(begin, ahead + 64 * line); });
  }
};

/// How far ahead stored panels are fetched, in bytes. With one or two tokens they are read so fast that the processor reads
/// ahead by itself, best when nothing but the block at hand is asked for. Behind more computing it does not, and there
/// 16 KiB serve all formats.
template <int tokens>
inline constexpr int kFetchAhead = tokens <= 2 ? 0 : 16384;

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
        const auto x = V::set_ints(q(t, at));
        unroll<R>([&](auto r) __attribute__((always_inline)) { sum[r][t] = V::add_words(sum[r][t], codes[r], x); });
      });
    });
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { done(r, t, sum[r][t]); });
  });
}

/// Adds the products of R panels, one behind the other, with T tokens: those of block b to chain[b % chains].
/// `add(w, b, sum)` adds those of block b, of which w[r] is panel r's. Stored rows stream in from memory and are taken in
/// order, fetched `ahead` bytes before. Others stay in the cache: there one running sum after the other keeps to registers.
template <class V, class Source, int R, int T, int chains, class Add>
[[gnu::always_inline]] inline void add_blocks(const char* panels, int blocks, int ahead, typename V::F (&chain)[chains][R][T],
                                              const Add& add) {
  using Sums = typename V::F[R][T];
  const auto clear = [](Sums& sum) __attribute__((always_inline)) {
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { sum[r][t] = V::zero(); });
  };
  const auto add_block = [&](int b, Sums& sum) __attribute__((always_inline)) {
    [&]<int... r>(std::integer_sequence<int, r...>) __attribute__((always_inline)) {
      const Source w[R] = {Source(panels + static_cast<std::size_t>(r) * Source::bytes(blocks), blocks, b)...};
      add(w, b, sum);
    }(std::make_integer_sequence<int, R>());
  };
  if constexpr (Source::streams) {
    static_assert(R == 1);
    for (Sums& sum : chain) clear(sum);
    for (int b = 0; b < blocks; ++b) {
      Source::Layout::fetch(panels, b, ahead);
      add_block(b, chain[b % chains]);
    }
  } else {
    for (int c = 0; c < chains; ++c) {
      Sums sum;
      clear(sum);
      for (int b = c; b < blocks; b += chains) add_block(b, sum);
      for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { chain[c][r][t] = sum[r][t]; });
    }
  }
}

}  // namespace strata::kernels
