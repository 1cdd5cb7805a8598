// Owns: the product of rows of 32-element blocks under one scale, w = d * q with q in [-128, 127]: Q8_0, Q4_0.
// Knows neither layout nor instruction. A step takes V::blocks blocks (1 or 2), each in its own lanes:
//   sum[lane] <- (d_w * d_x) * <q_w, q_x over the lane's elements, exact> + sum[lane]
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

/// Unpack::codes<N>(const Block*) gives V::Bytes: the q of N <= V::blocks blocks; the lanes of missing blocks are 0.
template <class V, class Block, class Unpack>
struct Tile32 {
  static constexpr ActivationFormat activation = ActivationFormat::q8_32;
  static constexpr int max_tokens = V::tokens_32;
  template <int T>
  static constexpr int rows = T == 1 ? 1 : V::rows_32;

  template <int R, int T>
  struct State {
    const Block* w[R];
    ActivationQ8_32 x[T];
    typename V::F sum[R][T];

    /// N blocks from block b on.
    template <int N>
    [[gnu::always_inline]] void step(int b) {
      typename V::Weights weights[R];
      typename V::F scale[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        if constexpr (T == 1) V::prefetch(w[r] + b, V::prefetch_bytes);
        weights[r] = V::prepare(Unpack::template codes<N>(w[r] + b));
        scale[r] = V::template halves<N>(&w[r][b].d, sizeof(Block));
      });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const auto inputs = V::template inputs<N>(x[t].q + 32 * b);
        const auto factor = V::template block_scales<N>(x[t].d + b);
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          sum[r][t] = V::add_product(sum[r][t], V::mul(scale[r], factor), V::dot(weights[r], inputs));
        });
      });
    }
  };

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    State<R, T> state;
    unroll<R>([&](auto r) {
      state.w[r] = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
      unroll<T>([&](auto t) { state.sum[r][t] = V::zero(); });
    });
    unroll<T>([&](auto t) { state.x[t] = view_q8_32(call.x[token + t], call.k); });
    const int blocks = call.k / 32;
    int b = 0;
    for (; b + V::blocks <= blocks; b += V::blocks) state.template step<V::blocks>(b);
    if constexpr (V::blocks > 1)
      if (b < blocks) state.template step<1>(b);
    unroll<R>([&](auto r) { unroll<T>([&](auto t) { call.y[token + t][row + r] = V::sum(state.sum[r][t]); }); });
  }
};

}  // namespace strata::kernels
