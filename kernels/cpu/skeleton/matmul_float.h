// Owns: the product of float rows: F32, F16, BF16. Knows no instruction.
// Element i is added to lane i mod V::lanes, in the order of i; lanes are then summed in V::sum's order.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

template <class V, class Element>
struct FloatTile {
  static constexpr ActivationFormat activation = ActivationFormat::f32;
  static constexpr int max_tokens = 4;
  template <int T>
  static constexpr int rows = T == 1 ? 4 : V::float_rows;

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    using F = typename V::F;
    const Element* w[R];
    const float* x[T];
    F sum[R][T];
    unroll<R>([&](auto r) {
      w[r] = reinterpret_cast<const Element*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
      unroll<T>([&](auto t) { sum[r][t] = V::zero(); });
    });
    unroll<T>([&](auto t) { x[t] = static_cast<const float*>(call.x[token + t]); });
    int i = 0;
    for (; i + V::lanes <= call.k; i += V::lanes) {
      F weights[R];
      unroll<R>([&](auto r) {
        if constexpr (T == 1) V::prefetch(w[r] + i, V::prefetch_bytes);
        weights[r] = V::load(w[r] + i);
      });
      unroll<T>([&](auto t) {
        const F inputs = V::load(x[t] + i);
        unroll<R>([&](auto r) { sum[r][t] = V::fma(weights[r], inputs, sum[r][t]); });
      });
    }
    if (const int rest = call.k - i; rest > 0)  // missing lanes are zero
      unroll<T>([&](auto t) {
        const F inputs = V::load(x[t] + i, rest);
        unroll<R>([&](auto r) { sum[r][t] = V::fma(V::load(w[r] + i, rest), inputs, sum[r][t]); });
      });
    unroll<R>([&](auto r) { unroll<T>([&](auto t) { call.y[token + t][row + r] = V::sum(sum[r][t]); }); });
  }
};

}  // namespace strata::kernels
