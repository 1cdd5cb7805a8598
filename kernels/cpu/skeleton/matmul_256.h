// Owns: the product of rows of blocks of 256: K-quants and codebook formats. Knows neither layout nor instruction.
//
// Every K-quant is affine in unsigned codes u of up to 6 bits under the scales of 16-element groups g:
//   w = d * scale[g] * u - dmin * min[g]           so, for one block and the activation x = d_x * q,
//   <w, x> = d_x * d * sum_g scale[g] * <u_g, q_g>  -  d_x * dmin * sum_g min[g] * sum(q_g).
// Both sums are exact integers, whatever the order. Block b is added to running sum b mod 4 with one float multiply-add
// for each of the two, the second first; the four running sums are added as V::Quad::sum does.
// Where d = dmin, the second sum joins the first as an integer: symmetric formats, with min = zero_point * scale.
// Codebook formats with signed codes of up to 127 have no second sum.
//
// That order leaves two ways to compute it. A tile takes rows as they lie and a few tokens, with the elements of a row in
// the lanes. A panel has the rows in the lanes (panel.h, panel_256.h).
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/panel_256.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

/// Unpack gives, for a block: d(), under `d_factor` where there is one; scales() as V::Scales; codes<j>() for j in [0, 4) as
/// V::Codes (64 codes); and, unless these are V::Signed, mins() as V::Mins with either dmin() or their factor under d,
/// `zero_point`, and the largest code, `most`. Where two groups each have the same scale it may say `scales_by_32`.
/// With `has_words` it gives, for RowsOfBlocks, word<j, i>(): codes 4 i to 4 i + 3 of codes<j>() of each row as V::Words;
/// scale_words(), signed bytes by group, as formats::ScaleWords; for dmin() also min_words(). It may say the place(w) that
/// word w of a block has in a panel, where they are not read in the order in which they lie.
template <class V, class Block, class Unpack>
struct Tile256 {
  static constexpr ActivationFormat activation = ActivationFormat::q8_256;
  static constexpr int max_tokens = V::tokens_256;
  template <int T>
  static constexpr int rows = 1;  // one row at a time reads memory in order: two at once halved its rate
  using Panel = Panel256<V, Block, Unpack>;
  using Quad = typename V::Quad;
  using Fold = decltype(V::fold(V::no_ints()));

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    static_assert(R == 1);
    const auto* w = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + row * call.weight_stride);
    ActivationQ8_256 x[T];
    typename Quad::F sum[T];
    unroll<T>([&](auto t) {
      x[t] = view_q8_256(call.x[token + t], call.k);
      sum[t] = Quad::zero();
    });
    const int blocks = call.k / 256;
    int b = 0;
    for (; b + 4 <= blocks; b += 4) step<T, 4>(w + b, b, x, sum);
    if (b + 2 <= blocks) {
      b + 3 == blocks ? step<T, 3>(w + b, b, x, sum) : step<T, 2>(w + b, b, x, sum);
    } else if (b < blocks) {
      step<T, 1>(w + b, b, x, sum);
    }
    unroll<T>([&](auto t) { call.y[token + t][row] = Quad::sum(sum[t]); });
  }

  template <int N>
  [[gnu::always_inline]] static typename Quad::F make(const float* p) {
    if constexpr (N == 4) return Quad::load(p);
    return Quad::make(p[0], N > 1 ? p[N > 1 ? 1 : 0] : 0, N > 2 ? p[N > 2 ? 2 : 0] : 0, 0);
  }

  /// N blocks from b on, the first of them to running sum 0; the others get nothing.
  template <int T, int N>
  [[gnu::always_inline]] static void step(const Block* w, int b, const ActivationQ8_256* x, typename Quad::F* sum) {
    Fold dots[4][T], less[4][T];
    formats::Half d[4] = {}, dmin[4] = {};
    const auto take = [&](int i) __attribute__((always_inline)) {
      block<T>(w[i], b + i, x, dots[i], less[i]);
      d[i] = Unpack::d(w[i]);
      if constexpr (requires { Unpack::dmin(w[i]); }) dmin[i] = Unpack::dmin(w[i]);
    };
    // Measured: one behind the other the plain codes of Q4_K overlap and gain a fifth; those that are put together from
    // several parts compete for registers and lose up to half.
    if constexpr (requires { Unpack::dmin(*w); }) {
      unroll<N>(take);
    } else {
      for (int i = 0; i < N; ++i) take(i);
    }
    for (int i = N; i < 4; ++i)
      unroll<T>([&](auto t) { dots[i][t] = less[i][t] = V::fold(V::no_ints()); });
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      const auto x_d = make<N>(x[t].d + b);
      if constexpr (requires { Unpack::dmin(*w); })
        sum[t] = Quad::subtract_product(sum[t], Quad::mul(Quad::make(dmin[0], dmin[1], dmin[2], dmin[3]), x_d),
                                        Quad::sums(less[0][t], less[1][t], less[2][t], less[3][t]));
      auto factor = Quad::make(d[0], d[1], d[2], d[3]);
      if constexpr (requires { Unpack::d_factor; }) factor = Quad::mul(factor, Quad::set(Unpack::d_factor));
      sum[t] = Quad::add_product(sum[t], Quad::mul(factor, x_d),
                                 Quad::sums(dots[0][t], dots[1][t], dots[2][t], dots[3][t]));
    });
  }

  template <int T>
  [[gnu::always_inline]] static void block(const Block& w, int b, const ActivationQ8_256* x, Fold* dots, Fold* less) {
    typename V::Ints dot[T];
    const auto scales = Unpack::scales(w);
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      dot[t] = V::no_ints();
      if constexpr (requires { Unpack::mins(w); }) {
        const auto subtrahend = V::dot_sums(Unpack::mins(w), x[t].sums + 16 * b);
        if constexpr (requires { Unpack::zero_point; })
          dot[t] = V::template negated_times<Unpack::zero_point>(subtrahend);
        else
          less[t] = V::fold(subtrahend);
      }
    });
    unroll<2>([&](auto half) __attribute__((always_inline)) {
      const auto first = Unpack::template codes<2 * half>(w), second = Unpack::template codes<2 * half + 1>(w);
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        dot[t] = V::template add_dots<half>(dot[t], first, second, x[t].q + 256 * b + 128 * half, scales);
      });
    });
    unroll<T>([&](auto t) __attribute__((always_inline)) { dots[t] = V::fold(dot[t]); });
  }
};

}  // namespace strata::kernels
