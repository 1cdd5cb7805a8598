// Owns: the product of rows of blocks under floating-point scales: Q8_0, Q4_0 and their like. Knows neither layout nor
// instruction.
//
// A block has one or more parts of 32 elements. For part p of a row, with the activation x = d_x * q there,
//   w = d * (u - zero)   <w, x> = (d * d_x) * <u - zero, q>               one float multiply-add
//   w = d * u + m        <w, x> = d_x * (d * <u, q> + m * sum(q))         a product and two multiply-adds
// where <., .> and sum are exact integers, whatever the order. It is added to running sum p mod 8; the eight running sums
// are added as V::Octet::sum does. A part with two scales, one to 16 elements each, is added half by half.
//
// As with blocks of 256 that order leaves two ways: a tile with the elements of a row in the lanes, and a panel with the
// rows in the lanes (panel.h, panel_32.h).
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/panel_32.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

/// Unpack, a Blocks32, says the `code`, where that is not plain the largest, `most`, and where it is centred the
/// `zero_point`. For the N parts from part P of a block on (for blocks of one part: for the first parts of N blocks) it
/// gives codes<N, P>(const Block*) as V::Bytes; for a block scale(), or with scales_of_16 scale(half), where `half` counts
/// the halves of its parts, as a type that formats::to_float takes, and for affine codes also offset().
/// With `has_words`, for blocks of one part, it gives for RowsOfBlocks word<i>(), codes 4 i to 4 i + 3 of each row as
/// V::Words, and where scales are no halves, ds() as V::F.
template <class V, class Block, class Unpack>
struct Tile32 {
  static constexpr ActivationFormat activation = ActivationFormat::q8_32;
  static constexpr int max_tokens = V::tokens_32, parts = Unpack::parts;
  template <int T>
  static constexpr int rows = 1;  // one row at a time reads memory in order
  static constexpr Code code = Unpack::code;
  static constexpr int zero = zero_point_of<Unpack>(), excess = V::template excess<code, zero>;
  using Panel = Panel32<V, Block, Unpack>;
  using Octet = typename V::Octet;
  static_assert(8 % parts == 0 && (parts == 1 || parts % V::blocks == 0));

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    static_assert(R == 1);
    constexpr int group = 8 / parts;
    const auto* w = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + row * call.weight_stride);
    ActivationQ8_32 x[T];
    typename Octet::F sum[T];
    unroll<T>([&](auto t) {
      x[t] = view_q8_32(call.x[token + t], call.k);
      sum[t] = Octet::zero();
    });
    const int blocks = call.k / (32 * parts);
    int b = 0;
    for (; b + group <= blocks; b += group) eight<T>(w + b, b * parts, x, sum);
    if (b < blocks) {  // the activation has zeros behind its end
      Block last[group] = {};
      for (int i = 0; b + i < blocks; ++i) last[i] = w[b + i];
      eight<T>(last, b * parts, x, sum);
    }
    unroll<T>([&](auto t) { call.y[token + t][row] = Octet::sum(sum[t]); });
  }

  /// The eight parts from p, a multiple of 8, on.
  template <int T>
  [[gnu::always_inline]] static void eight(const Block* w, int p, const ActivationQ8_32* x, typename Octet::F* sum) {
    typename V::Ints dots[T][8 / V::blocks];
    unroll<8 / V::blocks>([&](auto i) __attribute__((always_inline)) {
      constexpr int part = i * V::blocks;
      const auto weights = V::template prepare<code, zero>(Unpack::template codes<V::blocks, part % parts>(w + part / parts));
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const std::int8_t* q = x[t].q + 32 * (p + part);
        if constexpr (Unpack::scales_of_16) dots[t][i] = V::template dot_by_16<code>(weights, q);
        else dots[t][i] = V::template dot<code>(weights, q);
      });
    });
    if constexpr (Unpack::scales_of_16) {
      add_halves<T>(w, p, x, dots, sum);
    } else {
      const auto scale = eight_of([&](auto i) __attribute__((always_inline)) { return Unpack::scale(w[i / parts]); });
      if constexpr (code == Code::affine) {
        const auto offset = eight_of([&](auto i) __attribute__((always_inline)) { return Unpack::offset(w[i / parts]); });
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          const auto of_sums = Octet::mul(offset, Octet::to_float(Octet::sums_of_32(x[t].sums + 2 * p)));
          sum[t] = Octet::fma(Octet::load(x[t].d + p), Octet::add_product(of_sums, scale, V::eight_sums(dots[t])), sum[t]);
        });
      } else {
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          auto dot = V::eight_sums(dots[t]);
          if constexpr (excess != 0) dot = Octet::template less_times<excess>(dot, Octet::sums_of_32(x[t].sums + 2 * p));
          sum[t] = Octet::add_product(sum[t], Octet::mul(scale, Octet::load(x[t].d + p)), dot);
        });
      }
    }
  }

  /// The first and then the second halves of eight parts.
  template <int T>
  [[gnu::always_inline]] static void add_halves(const Block* w, int p, const ActivationQ8_32* x,
                                                const typename V::Ints (&dots)[T][8 / V::blocks], typename Octet::F* sum) {
    const auto scale = [&](auto half) __attribute__((always_inline)) {
      return eight_of([&](auto i) __attribute__((always_inline)) { return Unpack::scale(w[i / parts], 2 * (i % parts) + half); });
    };
    const auto first = scale(Index<0>()), second = scale(Index<1>());
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      const auto x_d = Octet::load(x[t].d + p);
      auto dot = V::eight_sums_by_16(dots[t]);
      if constexpr (excess != 0) {
        const auto of_x = Octet::sums_of_16(x[t].sums + 2 * p);
        dot = {Octet::template less_times<excess>(dot.first, of_x.first), Octet::template less_times<excess>(dot.second, of_x.second)};
      }
      sum[t] = Octet::add_product(sum[t], Octet::mul(first, x_d), dot.first);
      sum[t] = Octet::add_product(sum[t], Octet::mul(second, x_d), dot.second);
    });
  }

  template <class Each>
  [[gnu::always_inline]] static typename Octet::F eight_of(const Each& each) {
    using Scale = decltype(each(Index<0>()));
    Scale scales[8];
    unroll<8>([&](auto i) __attribute__((always_inline)) { scales[i] = each(i); });
    return Octet::make(scales);
  }
};

}  // namespace strata::kernels
