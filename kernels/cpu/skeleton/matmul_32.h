// Owns: the product of rows of blocks under floating-point scales: Q8_0, Q4_0 and their like. Knows neither layout nor
// instruction. A step takes V::blocks parts of 32 elements (1 or 2), each in its own lanes:
//   sum[lane] <- (d_w * d_x) * <q_w, q_x over the lane's elements, exact> + sum[lane]
// Affine formats, w = d * u + m, have d * <u, q_x> + m * sum(q_x) there, rounded twice, and d_x as the factor.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

/// Unpack, a Blocks32, says the `code` and, where that is centred, its `zero_point`. For the N parts from part P of a
/// block on (for blocks of one part: for the first parts of N blocks) it gives codes<N, P>(const Block*) as V::Bytes
/// and scale<N, P>(const Block*), for affine codes also offset<N, P>(const Block*), as V::F. Lanes of missing parts are
/// multiplied by zeros. Blocks of one part may also give eight_scales(const Block*), those of eight blocks at once, which
/// a vocabulary with Eight uses where a single row meets a single token.
template <class V, class Block, class Unpack>
struct Tile32 {
  static constexpr ActivationFormat activation = ActivationFormat::q8_32;
  static constexpr int max_tokens = V::tokens_32;
  template <int T>
  static constexpr int rows = T == 1 ? 1 : V::rows_32;
  static constexpr Code code = Unpack::code;
  static constexpr int zero = [] {
    if constexpr (code == Code::centred) return Unpack::zero_point;
    return 0;
  }();

  template <int R, int T>
  struct State {
    const Block* w[R];
    ActivationQ8_32 x[T];
    typename V::F sum[R][T];

    /// N parts from part P of block b on.
    template <int N, int P>
    [[gnu::always_inline]] void step(int b) {
      typename V::Weights weights[R];
      typename V::F scale[R], offset[R];
      const int part = b * Unpack::parts + P;
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        if constexpr (T == 1 && P == 0) V::prefetch(w[r] + b, V::prefetch_bytes);
        weights[r] = V::template prepare<code, zero>(Unpack::template codes<N, P>(w[r] + b));
        scale[r] = Unpack::template scale<N, P>(w[r] + b);
        if constexpr (code == Code::affine) offset[r] = Unpack::template offset<N, P>(w[r] + b);
      });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const auto inputs = V::template inputs<N, code, zero>(x[t].q + 32 * part);
        const auto factor = V::template block_scales<N>(x[t].d + part);
        if constexpr (code == Code::affine) {
          const auto sums = V::to_float(V::input_sums(inputs));
          unroll<R>([&](auto r) __attribute__((always_inline)) {
            const auto dot = V::add_product(V::mul(offset[r], sums), scale[r], V::template dot<code>(weights[r], inputs));
            sum[r][t] = V::fma(factor, dot, sum[r][t]);
          });
        } else {
          unroll<R>([&](auto r) __attribute__((always_inline)) {
            sum[r][t] = V::add_product(sum[r][t], V::mul(scale[r], factor), dot(weights[r], inputs));
          });
        }
      });
    }

    /// Eight blocks from block b on: their scales are multiplied together and then spread over the lanes.
    [[gnu::always_inline]] void eight(int b) {
      static_assert(R == 1 && T == 1 && Unpack::parts == 1);
      const auto factors = V::products(Unpack::eight_scales(w[0] + b), x[0].d + b);
      unroll<8 / V::blocks>([&](auto i) __attribute__((always_inline)) {
        constexpr int N = V::blocks;
        const Block* at = w[0] + b + i * N;
        V::prefetch(at, V::prefetch_bytes);
        const auto weights = V::template prepare<code, zero>(Unpack::template codes<N, 0>(at));
        const auto inputs = V::template inputs<N, code, zero>(x[0].q + 32 * (b + i * N));
        sum[0][0] = V::add_product(sum[0][0], V::template spread<i>(factors), dot(weights, inputs));
      });
    }

    template <class Inputs>
    [[gnu::always_inline]] static auto dot(const typename V::Weights& weights, const Inputs& inputs) {
      if constexpr (Unpack::scales_of_16) return V::template dot_by_16<code>(weights, inputs);
      else return V::template dot<code>(weights, inputs);
    }
  };

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    constexpr int parts = Unpack::parts;
    static_assert(parts == 1 || parts % V::blocks == 0);
    State<R, T> state;
    unroll<R>([&](auto r) {
      state.w[r] = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
      unroll<T>([&](auto t) { state.sum[r][t] = V::zero(); });
    });
    unroll<T>([&](auto t) { state.x[t] = view_q8_32(call.x[token + t], call.k); });
    const int blocks = call.k / (32 * parts);
    int b = 0;
    if constexpr (parts > 1) {
      for (; b < blocks; ++b)
        unroll<parts / V::blocks>([&](auto i) __attribute__((always_inline)) {
          state.template step<V::blocks, i * V::blocks>(b);
        });
    } else {
      if constexpr (R == 1 && T == 1 && requires { typename V::Eight; Unpack::eight_scales(state.w[0]); })
        for (; b + 8 <= blocks; b += 8) state.eight(b);
      for (; b + V::blocks <= blocks; b += V::blocks) state.template step<V::blocks, 0>(b);
      if constexpr (V::blocks > 1)
        if (b < blocks) state.template step<1, 0>(b);
    }
    unroll<R>([&](auto r) { unroll<T>([&](auto t) { call.y[token + t][row + r] = V::sum(state.sum[r][t]); }); });
  }
};

}  // namespace strata::kernels
