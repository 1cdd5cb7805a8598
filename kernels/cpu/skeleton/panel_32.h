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
  static constexpr std::size_t bytes(int) { return 0; }
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

/// The product of a panel, the same for all formats that agree on scales, offsets and what is to be taken off.
template <class V, int Scales, bool affine, int excess>
struct PanelProduct32 {
  using Part = PanelPart32<V, Scales, affine>;
  using F = typename V::F;
  using Ints = typename V::Ints;

  /// y[t][0 .. panel_rows) for T tokens.
  template <int T>
  static void run(const Part* panel, int k, const void* const* inputs, float* const* y, int row) {
    ActivationQ8_32 x[T];
    F chain[8][T];
    unroll<T>([&](auto t) { x[t] = view_q8_32(inputs[t], k); });
    for (int c = 0; c < 8; ++c) {
      F sum[T];
      unroll<T>([&](auto t) { sum[t] = V::zero(); });
      for (int p = c; p < k / 32; p += 8) add_part<T>(panel[p / V::blocks], p % V::blocks, p, x, sum);
      unroll<T>([&](auto t) { chain[c][t] = sum[t]; });
    }
    unroll<T>([&](auto t) {
      const F even = V::add(V::add(chain[0][t], chain[4][t]), V::add(chain[2][t], chain[6][t]));
      const F odd = V::add(V::add(chain[1][t], chain[5][t]), V::add(chain[3][t], chain[7][t]));
      V::store(y[t] + row, V::add(even, odd));
    });
  }

  template <int T>
  [[gnu::always_inline]] static void add_part(const Part& w, int in_part, int p, const ActivationQ8_32* x, F* sum) {
    unroll<Scales>([&](auto half) __attribute__((always_inline)) {
      constexpr int words = 8 / Scales;
      Ints dot[T];
      unroll<T>([&](auto t) __attribute__((always_inline)) { dot[t] = V::set_ints(-excess * sum_of<half>(x[t], p)); });
      unroll<words>([&](auto i) __attribute__((always_inline)) {
        const Ints codes = V::load_ints(w.codes[in_part][words * half + i]);
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          dot[t] = V::add_words(dot[t], codes, x[t].q + 32 * p + 4 * (words * half + i));
        });
      });
      const F d = V::load(w.d[in_part][half]);
      if constexpr (affine) {
        const F offset = V::load(w.offset[in_part]);
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          const F of_sum = V::mul(offset, V::set(static_cast<float>(sum_of<half>(x[t], p))));
          sum[t] = V::fma(V::set(x[t].d[p]), V::add_product(of_sum, d, dot[t]), sum[t]);
        });
      } else {
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          sum[t] = V::add_product(sum[t], V::mul(d, V::set(x[t].d[p])), dot[t]);
        });
      }
    });
  }

  /// Of the activations that a scale covers.
  template <int half>
  [[gnu::always_inline]] static int sum_of(const ActivationQ8_32& x, int p) {
    if constexpr (Scales == 2) return x.sums[2 * p + half];
    return x.sums[2 * p] + x.sums[2 * p + 1];
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel32<V, Block, Unpack> {
  static constexpr int rows = V::panel_rows, max_tokens = V::panel_tokens_32, parts = Unpack::parts, together = V::blocks;
  static constexpr Code code = Unpack::code;
  static constexpr int zero = zero_point_of<Unpack>(), scales = Unpack::scales_of_16 ? 2 : 1;
  static constexpr bool affine = code == Code::affine;
  using Part = PanelPart32<V, scales, affine>;
  using Product = PanelProduct32<V, scales, affine, V::template excess<code, zero>>;

  static constexpr std::size_t bytes(int k) { return static_cast<std::size_t>((k / 32 + together - 1) / together) * sizeof(Part); }

  /// Makes the panel of rows [row, row + rows) in call.scratch. The next panel's rows come nearer meanwhile.
  static void fill(const MatmulCall& call, int row) {
    auto* panel = static_cast<Part*>(call.scratch);
    const int all = call.k / 32, next = rows * static_cast<int>(call.weight_stride);
    const auto blocks = [&](int r) __attribute__((always_inline)) {
      return reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
    };
    int p = 0;
    if constexpr (parts == 1) {
      for (; p + together <= all; p += together, ++panel) fill_parts<together, 0>(blocks, p, next, *panel);
      if (p < all) fill_parts<1, 0>(blocks, p, next, *panel);
    } else {
      for (; p < all; p += parts)
        unroll<parts / together>([&](auto i) { fill_parts<together, i * together>(blocks, p / parts, next, *panel++); });
    }
  }

  /// N parts of each row from part P of block b on.
  template <int N, int P, class Rows>
  [[gnu::always_inline]] static void fill_parts(const Rows& row, int b, int next, Part& part) {
    using Scale = decltype(scale_of<P>(*row(0), 0));
    alignas(64) std::uint8_t codes[rows][32 * together];
    Scale d[together][scales][rows], offset[together][rows];
    for (int r = 0; r < rows; ++r) {
      const Block* block = row(r) + b;
      if constexpr (P == 0) unroll<((parts == 1 ? N : 1) * sizeof(Block) + 63) / 64>([&](auto line) { V::prefetch(block, next + 64 * line); });
      V::store_bytes(V::template prepare<code, zero>(Unpack::template codes<N, P>(block)), codes[r]);
      unroll<N>([&](auto i) __attribute__((always_inline)) {
        const Block& of_part = parts == 1 ? block[i] : *block;
        unroll<scales>([&](auto half) { d[i][half][r] = scale_of<P + i>(of_part, half); });
        if constexpr (affine) offset[i][r] = Unpack::offset(of_part);
      });
    }
    V::transpose(codes[0], part.codes[0][0]);
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

  template <int T>
  static void run(const MatmulCall& call, int row, int token) {
    Product::template run<T>(static_cast<const Part*>(call.scratch), call.k, call.x + token, call.y + token, row);
  }
};

}  // namespace strata::kernels
