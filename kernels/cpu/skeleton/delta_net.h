// Owns: the gated DeltaNet recurrence of one value head. Knows no instruction.
//
// Rows of the state (one for each value index) never mix, so a few rows at a time walk over many tokens while they stay
// in the first-level cache. For a row s and the token's k, q, v, decay g, beta:
//   d = beta (v - e^g <s, k>);  s <- e^g s + d k;  o = <s, q>
// Element i of a product is added to lane i mod V::lanes; the operations of a row do not depend on how many rows or
// tokens are walked together.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/elementwise.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

template <class V>
struct DeltaNet {
  using F = typename V::F;
  /// Rows walked together: enough sums to hide the latency of an addition, and few enough for the registers.
  static constexpr int rows = V::lanes >= 16 ? 8 : 4;
  static constexpr int chunk = 32;  ///< tokens walked together: their q and k of 128 floats are 32 KiB

  template <int R>
  static void token(const DeltaNetCall& c, float* state, int row, std::size_t t, float keep) {
    const float *k = c.k + t * c.qk_stride, *q = c.q + t * c.qk_stride;
    const float* v = c.v + t * c.v_stride + row;
    const float beta = c.beta[t * c.gate_stride];
    const int whole = c.k_dim / V::lanes * V::lanes, rest = c.k_dim - whole;
    F sum[R];
    unroll<R>([&](auto r) { sum[r] = V::zero(); });
    for (int i = 0; i < whole; i += V::lanes) {
      const F key = V::load(k + i);
      unroll<R>([&](auto r) { sum[r] = V::fma(V::load(state + r * c.k_dim + i), key, sum[r]); });
    }
    if (rest) {
      const F key = V::load(k + whole, rest);
      unroll<R>([&](auto r) { sum[r] = V::fma(V::load(state + r * c.k_dim + whole, rest), key, sum[r]); });
    }
    F delta[R];
    const F decay = V::set(keep);
    unroll<R>([&](auto r) {
      delta[r] = V::set(beta * (v[r] - keep * V::sum(sum[r])));
      sum[r] = V::zero();
    });
    for (int i = 0; i < whole; i += V::lanes) {
      const F key = V::load(k + i), query = V::load(q + i);
      unroll<R>([&](auto r) {
        float* s = state + r * c.k_dim + i;
        const F next = V::fma(key, delta[r], V::mul(V::load(s), decay));
        V::store(s, next);
        sum[r] = V::fma(next, query, sum[r]);
      });
    }
    if (rest) {
      const F key = V::load(k + whole, rest), query = V::load(q + whole, rest);
      unroll<R>([&](auto r) {
        float* s = state + r * c.k_dim + whole;
        const F next = V::fma(key, delta[r], V::mul(V::load(s, rest), decay));
        V::store(s, next, rest);
        sum[r] = V::fma(next, query, sum[r]);
      });
    }
    unroll<R>([&](auto r) { c.out[t * c.out_stride + row + r] = V::sum(sum[r]); });
  }

  static void run(const DeltaNetCall& c) {
    for (int first = 0; first < c.tokens; first += chunk) {
      const int count = c.tokens - first < chunk ? c.tokens - first : chunk;
      float keep[chunk];
      for (int t = 0; t < count; ++t)
        keep[t] = Elementwise<V>::exp_of(c.decay[static_cast<std::size_t>(first + t) * c.gate_stride]);
      int row = 0;
      for (; row + rows <= c.v_dim; row += rows)
        for (int t = 0; t < count; ++t)
          token<rows>(c, c.state + static_cast<std::size_t>(row) * c.k_dim, row, static_cast<std::size_t>(first + t), keep[t]);
      for (; row < c.v_dim; ++row)
        for (int t = 0; t < count; ++t)
          token<1>(c, c.state + static_cast<std::size_t>(row) * c.k_dim, row, static_cast<std::size_t>(first + t), keep[t]);
    }
  }
};

}  // namespace strata::kernels
