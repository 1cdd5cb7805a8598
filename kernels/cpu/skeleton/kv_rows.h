// Owns: how attention reads rows of a cache: as rows, with elements in the lanes of a vector, and as columns, with positions
// in the lanes. Knows no instruction.
// Every element comes out as the float that its format's decoder gives, so all formats share what is computed from it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"
#include "kernels/formats/q4_0/q4_0.h"
#include "kernels/formats/q8_0/q8_0.h"

namespace strata::kernels {

/// Rows that are arrays of Element. Here: float or Half.
template <class V, class Element>
struct KvRows {
  using F = typename V::F;
  static constexpr int block = 1;  ///< numbers in an Element
  static constexpr bool integers = false;  ///< whether they are integers under a scale
  static constexpr int whole = 1;  ///< vectors that are read at a time at least

  /// Elements of a row that are read at a time.
  static constexpr int step = 16 / static_cast<int>(sizeof(Element));

  /// consume(d, j, vector of element d + j of V::lanes rows) for d + j in [0, n), in order; j, below `step`, is an Index or an int. Rows are `stride` Elements apart; where there
  /// are fewer than V::lanes, `count`, the other lanes are zero. After each `step` of elements of all rows: pause(how many
  /// Elements of all rows were read before).
  template <class Consume, class Pause>
  [[gnu::always_inline]] static void columns(const Element* rows, std::size_t stride, int count, int n, const Consume& consume, const Pause& pause) {
    F column[step];
    int d = 0;
    if (count >= V::lanes)
      for (; d + step <= n; d += step) {
        V::columns(rows + d, stride, column);
        unroll<step>([&](auto j) __attribute__((always_inline)) { consume(d, j, column[j]); });
        pause(d * V::lanes);
      }
    for (; d < n; d += step) {
      Element padded[V::lanes * step] = {};
      const int some = n - d < step ? n - d : step;
      for (int r = 0; r < V::lanes && r < count; ++r)
        for (int j = 0; j < some; ++j) padded[r * step + j] = rows[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(d + j)];
      V::columns(padded, step, column);
      for (int j = 0; j < some; ++j) consume(d, j, column[j]);
    }
  }
  /// C vectors of a row from element d on; `rest` of the lanes of one, where it is given.
  template <int C, class... Rest>
  [[gnu::always_inline]] static void read(const Element* row, int d, F out[C], Rest... rest) {
    unroll<C>([&](auto c) __attribute__((always_inline)) { out[c] = V::load(row + d + c * V::lanes, rest...); });
  }
};

/// Rows of blocks of 32 under a scale.
template <class V, class Block>
struct KvBlocks {
  using F = typename V::F;
  static constexpr int block = 32;
  static constexpr bool integers = true;
  static constexpr int whole = 32 / V::lanes;

  static constexpr int step = 1;

  template <class Consume, class Pause>
  [[gnu::always_inline]] static void columns(const Block* rows, std::size_t stride, int count, int n, const Consume& consume, const Pause& pause) {
    for (int b = 0; b < n / block; ++b, ++rows) {
      const auto codes = [&](const Block* at, std::size_t apart) __attribute__((always_inline)) {
        const F scale = V::strided_halves(&at->d, apart * sizeof(Block));
        codes_of_columns(at, apart, [&](auto j, F code) __attribute__((always_inline)) { consume(b * block, j, V::mul(code, scale)); });
      };
      if (count >= V::lanes) {
        codes(rows, stride);
        pause(b * V::lanes);
        continue;
      }
      Block padded[V::lanes] = {};
      for (int r = 0; r < count; ++r) padded[r] = rows[static_cast<std::size_t>(r) * stride];
      codes(padded, 1);
    }
  }
  template <class Code>
  [[gnu::always_inline]] static void codes_of_columns(const formats::Q8_0::Block* rows, std::size_t stride, const Code& code) {
    unroll<2>([&](auto half) __attribute__((always_inline)) {
      typename V::Ints words[4];
      V::columns(rows->q + 16 * half, stride * sizeof(Block), words);
      unroll<16>([&](auto j) __attribute__((always_inline)) {
        code(Index<16 * decltype(half)::value + decltype(j)::value>{}, V::template signed_byte<8 * (j % 4)>(words[j / 4]));
      });
    });
  }
  template <class Code>
  [[gnu::always_inline]] static void codes_of_columns(const formats::Q4_0::Block* rows, std::size_t stride, const Code& code) {
    typename V::Ints words[4];
    V::columns(rows->q, stride * sizeof(Block), words);
    unroll<32>([&](auto j) __attribute__((always_inline)) {
      code(j, V::template centred_nibble<8 * (j % 4) + 4 * (j / 16)>(words[j % 16 / 4]));
    });
  }
  template <int C>
  [[gnu::always_inline]] static void read(const Block* row, int d, F out[C]) {
    static_assert(C % whole == 0);
    unroll<C / whole>([&](auto b) __attribute__((always_inline)) {
      const Block* at = row + d / block + b;
      const F scale = V::half(at->d);
      unroll<whole>([&](auto c) __attribute__((always_inline)) {
        out[b * whole + c] = V::mul(codes_of_row(at, Index<c * V::lanes>{}), scale);
      });
    });
  }
  template <int At>
  [[gnu::always_inline]] static F codes_of_row(const formats::Q8_0::Block* b, Index<At>) {
    return V::signed_bytes(b->q + At);
  }
  template <int At>
  [[gnu::always_inline]] static F codes_of_row(const formats::Q4_0::Block* b, Index<At>) {
    return V::template centred_nibble<4 * (At / 16)>(V::unsigned_bytes(b->q + At % 16));
  }
};
template <class V>
struct KvRows<V, formats::Q8_0::Block> : KvBlocks<V, formats::Q8_0::Block> {};
template <class V>
struct KvRows<V, formats::Q4_0::Block> : KvBlocks<V, formats::Q4_0::Block> {};

}  // namespace strata::kernels
