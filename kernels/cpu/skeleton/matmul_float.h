// Owns: the product of float rows: F32, F16, BF16. Knows no instruction.
// Vector number n of a row (elements n * V::lanes on) is added to running sum n mod V::chains, in the order of n; the
// running sums are then added in turn, and their lanes in V::sum's order.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

template <class V, class Element>
struct FloatTile {
  static constexpr ActivationFormat activation = ActivationFormat::f32;
  static constexpr int max_tokens = V::tokens_float;
  template <int T>
  static constexpr int rows = T == 1 ? 1 : V::rows_float;  // one row at a time reads memory in order

  template <int R, int T>
  struct State {
    const Element* w[R];
    const float* x[T];
    typename V::F sum[V::chains][R][T];

    /// One vector at element i into running sum C; `rest` of its lanes exist, the others count as zero.
    template <int C, class... Rest>
    [[gnu::always_inline]] void step(int i, Rest... rest) {
      typename V::F weights[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { weights[r] = V::load(w[r] + i, rest...); });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const auto inputs = V::load(x[t] + i, rest...);
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          sum[C][r][t] = V::fma(weights[r], inputs, sum[C][r][t]);
        });
      });
    }
  };

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    constexpr int lanes = V::lanes, chains = V::chains;
    State<R, T> state;
    unroll<R>([&](auto r) {
      state.w[r] = reinterpret_cast<const Element*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
      unroll<T>([&](auto t) { unroll<chains>([&](auto c) { state.sum[c][r][t] = V::zero(); }); });
    });
    unroll<T>([&](auto t) { state.x[t] = static_cast<const float*>(call.x[token + t]); });
    int i = 0;
    for (; i + chains * lanes <= call.k; i += chains * lanes)
      unroll<chains>([&](auto c) __attribute__((always_inline)) { state.template step<c>(i + c * lanes); });
    unroll<chains>([&](auto c) __attribute__((always_inline)) {
      const int rest = call.k - i - c * lanes;
      if (rest >= lanes)
        state.template step<c>(i + c * lanes);
      else if (rest > 0)
        state.template step<c>(i + c * lanes, rest);
    });
    unroll<R>([&](auto r) {
      unroll<T>([&](auto t) {
        auto total = state.sum[0][r][t];
        unroll<chains - 1>([&](auto c) { total = V::add(total, state.sum[c + 1][r][t]); });
        call.y[token + t][row + r] = V::sum(total);
      });
    });
  }
};

}  // namespace strata::kernels
