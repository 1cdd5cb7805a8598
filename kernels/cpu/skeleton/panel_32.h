// Owns: the product of rows of blocks of 32 with many tokens: rows in the lanes. Knows neither layout nor instruction.
// What panels are: panel_256.h. What is computed: matmul_32.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {

template <class Unpack>
constexpr int zero_point_of() {
  if constexpr (Unpack::code == Code::centred) return Unpack::zero_point;
  return 0;
}

/// A vocabulary that has no panels.
template <class V, class Block, class Unpack>
struct Panel32 {
  static constexpr int rows = 0;
};

/// One part of eight tokens, with what `excess` in the weights takes off the products, or the sums that offsets multiply.
template <int Scales, bool affine>
struct alignas(32) Packed32 {
  std::int32_t words[8][8], start[Scales][8];
  float d[8], sum[8];  ///< `sum` for offsets
};

template <class V, bool affine>
struct PanelOffsets {};
template <class V>
struct PanelOffsets<V, true> {
  float offset[V::blocks][V::panel_rows];
};
/// V::blocks parts of each row.
template <class V, int Scales, bool affine>
struct alignas(64) PanelPart32 : PanelOffsets<V, affine> {
  alignas(64) std::uint8_t codes[V::blocks][8][4 * V::panel_rows];  ///< words of four
  float d[V::blocks][Scales][V::panel_rows];                        ///< one to a part, or to each half of it
};

/// The product of a panel, the same for all formats that agree on scales, offsets, whether codes are signed, and how many
/// words' products can be added before they are widened.
template <class V, int Scales, bool affine, bool is_signed, int at_once>
struct PanelProduct32 {
  using Packed = Packed32<Scales, affine>;
  using Part = PanelPart32<V, Scales, affine>;
  using F = typename V::F;
  using Ints = typename V::Ints;

  /// y[t][row ...] of R panels, `stride` apart, and T tokens, from `lane` of the packed ones on.
  template <int R, int T>
  static void run(const Part* panel, int stride, int parts, const Packed* x, int lane, float* const* y, int row) {
    F chain[8][R][T];
    for (int c = 0; c < 8; ++c) {
      F sum[R][T];
      unroll<R>([&](auto r) { unroll<T>([&](auto t) { sum[r][t] = V::zero(); }); });
      for (int p = c; p < parts; p += 8) {
        const Part* w[R];
        unroll<R>([&](auto r) { w[r] = panel + r * stride + p / V::blocks; });
        add_part<R, T>(w, p % V::blocks, x[p], lane, sum);
      }
      unroll<R>([&](auto r) { unroll<T>([&](auto t) { chain[c][r][t] = sum[r][t]; }); });
    }
    unroll<R>([&](auto r) {
      unroll<T>([&](auto t) {
        const auto of = [&](int c) __attribute__((always_inline)) { return chain[c][r][t]; };
        const F even = V::add(V::add(of(0), of(4)), V::add(of(2), of(6))), odd = V::add(V::add(of(1), of(5)), V::add(of(3), of(7)));
        V::store(y[t] + row + r * V::panel_rows, V::add(even, odd));
      });
    });
  }

  template <int R, int T>
  [[gnu::always_inline]] static void add_part(const Part* const (&w)[R], int in_part, const Packed& x, int lane, F (&sum)[R][T]) {
    const auto each = [](const auto& body) __attribute__((always_inline)) {
      unroll<R>([&](auto r) __attribute__((always_inline)) { unroll<T>([&](auto t) __attribute__((always_inline)) { body(r, t); }); });
    };
    unroll<Scales>([&](auto half) __attribute__((always_inline)) {
      constexpr int words = 8 / Scales;
      Ints dot[R][T];
      each([&](auto r, auto t) __attribute__((always_inline)) {
        dot[r][t] = affine ? V::no_ints() : V::set_ints(x.start[half][lane + t]);
      });
      constexpr int some = words < at_once ? words : at_once;
      unroll<words / some>([&](auto n) __attribute__((always_inline)) {
        typename V::Narrow products[R][T];
        each([&](auto r, auto t) __attribute__((always_inline)) { products[r][t] = V::begin(dot[r][t]); });
        unroll<some>([&](auto i) __attribute__((always_inline)) {
          constexpr int word = words * half + some * n + i;
          decltype(V::template load_codes<is_signed>(nullptr)) codes[R];
          unroll<R>([&](auto r) __attribute__((always_inline)) { codes[r] = V::template load_codes<is_signed>(w[r]->codes[in_part][word]); });
          unroll<T>([&](auto t) __attribute__((always_inline)) {
            const Ints q = V::set_ints(x.words[word][lane + t]);
            unroll<R>([&](auto r) __attribute__((always_inline)) { products[r][t] = V::add_words(products[r][t], codes[r], q); });
          });
        });
        each([&](auto r, auto t) __attribute__((always_inline)) { dot[r][t] = V::end(dot[r][t], products[r][t]); });
      });
      each([&](auto r, auto t) __attribute__((always_inline)) {
        const F d = V::load(w[r]->d[in_part][half]), x_d = V::set(x.d[lane + t]);
        if constexpr (affine) {
          const F of_sum = V::mul(V::load(w[r]->offset[in_part]), V::set(x.sum[lane + t]));
          sum[r][t] = V::fma(x_d, V::add_product(of_sum, d, dot[r][t]), sum[r][t]);
        } else {
          sum[r][t] = V::add_product(sum[r][t], V::mul(d, x_d), dot[r][t]);
        }
      });
    });
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel32<V, Block, Unpack> {
  static constexpr int rows = V::panel_rows, parts = Unpack::parts, at_once = V::blocks;
  static constexpr Code code = Unpack::code;
  static constexpr int zero = zero_point_of<Unpack>(), scales = Unpack::scales_of_16 ? 2 : 1;
  static constexpr bool affine = code == Code::affine;
  using Part = PanelPart32<V, scales, affine>;
  static constexpr int excess = V::template excess<code, zero>;
  static constexpr bool is_signed = code == Code::plain && V::signed_panels;
  using Product = PanelProduct32<V, scales, affine, is_signed, V::template words_at_once<Unpack::most>>;
  using Packed = typename Product::Packed;

  static constexpr int units(int k) { return (k / 32 + at_once - 1) / at_once; }
  static constexpr std::size_t bytes(int k) { return static_cast<std::size_t>(units(k)) * sizeof(Part); }

  static constexpr std::size_t packed_bytes(int k) { return static_cast<std::size_t>(k / 32) * sizeof(Packed); }

  static void pack(const void* const (&tokens)[8], int k, void* to) {
    ActivationQ8_32 x[8];
    for (int t = 0; t < 8; ++t) x[t] = view_q8_32(tokens[t], k);
    auto* packed = static_cast<Packed*>(to);
    for (int p = 0; p < k / 32; ++p, ++packed) {
      V::transpose_8([&](int t) { return x[t].q + 32 * p; }, packed->words[0]);
      for (int t = 0; t < 8; ++t) {
        const int first = x[t].sums[2 * p], second = x[t].sums[2 * p + 1];
        packed->d[t] = x[t].d[p];
        if constexpr (affine) packed->sum[t] = static_cast<float>(first + second);
        else if constexpr (scales == 2) packed->start[0][t] = -excess * first, packed->start[1][t] = -excess * second;
        else packed->start[0][t] = -excess * (first + second);
      }
    }
  }

  /// Makes the panel of rows [row, row + rows). The next panel's rows come nearer meanwhile.
  static void fill(const MatmulCall& call, int row, void* to) {
    auto* panel = static_cast<Part*>(to);
    const int all = call.k / 32, next = rows * static_cast<int>(call.weight_stride);
    const auto blocks = [&](int r) __attribute__((always_inline)) {
      return reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
    };
    int p = 0;
    if constexpr (parts == 1) {
      for (; p + at_once <= all; p += at_once, ++panel) fill_parts<at_once, 0>(blocks, p, next, *panel);
      if (p < all) fill_parts<1, 0>(blocks, p, next, *panel);
    } else {
      for (; p < all; p += parts)
        unroll<parts / at_once>([&](auto i) { fill_parts<at_once, i * at_once>(blocks, p / parts, next, *panel++); });
    }
  }

  /// N parts of each row from part P of block b on.
  template <int N, int P, class Rows>
  [[gnu::always_inline]] static void fill_parts(const Rows& row, int b, int next, Part& part) {
    using Scale = decltype(scale_of<P>(*row(0), 0));
    alignas(64) std::uint8_t codes[rows][32 * at_once];
    Scale d[at_once][scales][rows], offset[at_once][rows];
    for (int r = 0; r < rows; ++r) {
      const Block* block = row(r) + b;
      if constexpr (P == 0)
        unroll<((parts == 1 ? N : 1) * sizeof(Block) + 63) / 64>([&](auto line) __attribute__((always_inline)) {
          V::prefetch(block, next + 64 * line);
        });
      V::template store_bytes<code>(V::template prepare<code, zero>(Unpack::template codes<N, P>(block)), codes[r]);
      unroll<N>([&](auto i) __attribute__((always_inline)) {
        const Block& of_part = parts == 1 ? block[i] : *block;
        unroll<scales>([&](auto half) { d[i][half][r] = scale_of<P + i>(of_part, half); });
        if constexpr (affine) offset[i][r] = Unpack::offset(of_part);
      });
    }
    V::template transpose<32 * at_once>(codes[0], part.codes[0][0]);
    unroll<N>([&](auto i) {
      unroll<scales>([&](auto half) { widen(d[i][half], part.d[i][half]); });
      if constexpr (affine) widen(offset[i], part.offset[i]);
    });
  }
  template <int P>
  static auto scale_of(const Block& block, int half) {
    if constexpr (scales == 2) return Unpack::scale(block, 2 * P + half);
    else return Unpack::scale(block);
  }
  static void widen(const formats::Half* from, float* to) { V::store(to, V::load(from)); }
  template <class Scale>
  static void widen(const Scale* from, float* to) {
    for (int r = 0; r < rows; ++r) to[r] = formats::to_float(from[r]);
  }

  static constexpr int together = V::panels_32, tokens = V::panel_tokens_32;
  /// The product of R panels of rows from `row` on and T tokens from `token` on, packed from `lane` on.
  template <int R, int T>
  static void run(const void* panels, const void* packed, int lane, const MatmulCall& call, int row, int token) {
    Product::template run<R, T>(static_cast<const Part*>(panels), units(call.k), call.k / 32, static_cast<const Packed*>(packed), lane,
                                call.y + token, row);
  }
};

}  // namespace strata::kernels
