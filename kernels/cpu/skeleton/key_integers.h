// Owns: scores of Q8_0 and Q4_0 keys in integers, for instruction sets that multiply bytes fast. Knows no instruction.
// A query becomes three signed bytes an element, block by block of 32: q = scale * (2^14 a + 2^7 b + c), which rounds it to 21
// bits and a sign. Sums of products inside a block are exact; blocks are added in order by float multiply-adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"
#include "kernels/formats/q4_0/q4_0.h"
#include "kernels/formats/q8_0/q8_0.h"

namespace strata::kernels {

template <class V, class Block>
struct KeyIntegers {
  using F = typename V::F;
  using Ints = typename V::Ints;
  static constexpr int block = 32, parts = 3, positions = V::key_vectors * V::lanes;
  static constexpr int queries = 2;  ///< whose sums stay in registers

  /// A tile of columns: words of four elements of a position, [k_dim / 4][positions], and scales, [k_dim / 32][positions].
  struct Tile {
    std::int32_t* words;
    float* scales;
    Tile(float* scratch, int k_dim)
        : words(reinterpret_cast<std::int32_t*>(scratch)), scales(scratch + static_cast<std::size_t>(k_dim / 4) * positions) {}
  };
  static constexpr std::size_t tile_bytes(int k_dim) { return static_cast<std::size_t>(k_dim) * (positions + positions / 8); }
  /// A query: bytes [parts][k_dim], then for each block its scale and what sums of its parts begin with.
  static constexpr std::size_t query_bytes(int k_dim) { return static_cast<std::size_t>(k_dim) / 2 * 7; }
  struct Begin {
    float scale;
    std::int32_t sum[parts];  ///< takes off the products of what is added to keys
  };
  static_assert(sizeof(Begin) == block / 2);
  static const Begin* begins(const std::int8_t* query, int k_dim) { return reinterpret_cast<const Begin*>(query + parts * k_dim); }

  static void quantize(const float* q, int k_dim, std::int8_t* out) {
    auto* begin = reinterpret_cast<Begin*>(out + parts * k_dim);
    for (int d = 0; d < k_dim; d += block, ++begin) {
      F most = V::zero(), broken = V::zero();
      for (int i = 0; i < block; i += V::lanes) {
        const F x = V::load(q + d + i);
        most = V::max(V::max(x, V::mul(x, V::set(-1.0f))), most);
        broken = V::fma(x, V::zero(), broken);  // NaN where x is not finite
      }
      constexpr float top = 2080000;  // with a within 127
      const float peak = V::largest(most), factor = peak > 1e-30f ? top / peak : 0.0f;
      begin->scale = V::sum(broken) == 0 ? peak / top : __builtin_nanf("");
      constexpr float shift = 0x1.8p23f;  // brings the integer into the lowest bits
      std::int8_t part[parts][block];  // apart from what is read, which bytes might be
      std::int32_t sum[parts] = {};
      for (int i = 0; i < block; ++i) {
        const auto value = static_cast<std::int32_t>(formats::float_bits(q[d + i] * factor + shift) - formats::float_bits(shift));
        const std::int32_t a = (value + (1 << 13)) >> 14, rest = value - a * (1 << 14), b = (rest + (1 << 6)) >> 7, c = rest - b * (1 << 7);
        part[0][i] = static_cast<std::int8_t>(a), part[1][i] = static_cast<std::int8_t>(b), part[2][i] = static_cast<std::int8_t>(c);
        sum[0] += a, sum[1] += b, sum[2] += c;
      }
      for (int p = 0; p < parts; ++p) {
        std::memcpy(out + p * k_dim + d, part[p], block);
        begin->sum[p] = -added * sum[p];
      }
    }
  }

  /// V::lanes rows to the tile's positions from `at` on; lanes beyond `count` rows are any.
  template <class Pause>
  [[gnu::always_inline]] static void columns(const Block* rows, std::size_t stride, int count, int k_dim, const Tile& tile, int at, const Pause& pause) {
    for (int b = 0; b < k_dim / block; ++b, ++rows) {
      const auto store = [&](const Block* from, std::size_t apart) __attribute__((always_inline)) {
        V::store(tile.scales + b * positions + at, V::strided_halves(&from->d, apart * sizeof(Block)));
        columns_of_block(from, apart, [&](int w, Ints word) __attribute__((always_inline)) {
          V::store_words(tile.words + (8 * b + w) * positions + at, word);
        });
      };
      if (count >= V::lanes) {
        store(rows, stride);
        pause(b * V::lanes);
        continue;
      }
      Block padded[V::lanes] = {};
      for (int r = 0; r < count; ++r) padded[r] = rows[static_cast<std::size_t>(r) * stride];
      store(padded, 1);
    }
  }

  /// word(w, elements 4 w to 4 w + 3 of V::lanes blocks with `added` added), for w in [0, 8).
  template <class Word>
  [[gnu::always_inline]] static void columns_of_block(const formats::Q8_0::Block* rows, std::size_t stride, const Word& word) {
    unroll<2>([&](auto half) __attribute__((always_inline)) {
      Ints words[4];
      V::columns(rows->q + 16 * half, stride * sizeof(Block), words);
      unroll<4>([&](auto w) __attribute__((always_inline)) { word(4 * half + w, V::add_to_bytes(words[w])); });
    });
  }
  template <class Word>
  [[gnu::always_inline]] static void columns_of_block(const formats::Q4_0::Block* rows, std::size_t stride, const Word& word) {
    Ints words[4];
    V::columns(rows->q, stride * sizeof(Block), words);
    unroll<4>([&](auto w) __attribute__((always_inline)) {
      word(w, V::template nibbles_of_words<0>(words[w]));
      word(4 + w, V::template nibbles_of_words<4>(words[w]));
    });
  }
  static constexpr std::int32_t added_to(const formats::Q8_0::Block*) { return V::added_to_bytes; }
  static constexpr std::int32_t added_to(const formats::Q4_0::Block*) { return 8; }
  static constexpr std::int32_t added = added_to(static_cast<const Block*>(nullptr));

  /// sum[j][c] = <query j, key of lane>, C times V::lanes positions of the tile from `at` on.
  template <int Q, int C>
  static void scores(const std::int8_t* const (&query)[Q], int k_dim, const Tile& tile, int at, F (&sum)[Q][C]) {
    unroll<Q>([&](auto j) { unroll<C>([&](auto c) { sum[j][c] = V::zero(); }); });
    for (int b = 0; b < k_dim / block; ++b) {
      Ints dot[Q][C][parts];
      unroll<Q>([&](auto j) __attribute__((always_inline)) {
        unroll<parts>([&](auto p) __attribute__((always_inline)) {
          const Ints begin = V::set_ints(begins(query[j], k_dim)[b].sum[p]);
          unroll<C>([&](auto c) __attribute__((always_inline)) { dot[j][c][p] = begin; });
        });
      });
      for (int w = 0; w < block / 4; ++w) {
        Ints key[C];
        unroll<C>([&](auto c) __attribute__((always_inline)) { key[c] = V::load_words(tile.words + (8 * b + w) * positions + at + c * V::lanes); });
        unroll<Q>([&](auto j) __attribute__((always_inline)) {
          unroll<parts>([&](auto p) __attribute__((always_inline)) {
            const Ints four = V::each_word(query[j] + p * k_dim + block * b + 4 * w);
            unroll<C>([&](auto c) __attribute__((always_inline)) { dot[j][c][p] = V::add_dots_of_4(dot[j][c][p], key[c], four); });
          });
        });
      }
      unroll<C>([&](auto c) __attribute__((always_inline)) {
        const F scale = V::load(tile.scales + b * positions + at + c * V::lanes);
        unroll<Q>([&](auto j) __attribute__((always_inline)) {
          const F lower = V::fma(V::to_float(dot[j][c][1]), V::set(128.0f), V::to_float(dot[j][c][2]));
          const F whole = V::fma(V::to_float(dot[j][c][0]), V::set(16384.0f), lower);
          sum[j][c] = V::fma(whole, V::mul(scale, V::set(begins(query[j], k_dim)[b].scale)), sum[j][c]);
        });
      });
    }
  }
};

}  // namespace strata::kernels
