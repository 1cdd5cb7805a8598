// Owns: the product of rows of blocks of 256: K-quants and codebook formats. Knows neither layout nor instruction.
//
// Every K-quant is affine in unsigned codes u of up to 6 bits under the scales of 16-element groups g:
//   w = d * scale[g] * u - dmin * min[g]           so, for one block and the activation x = d_x * q,
//   <w, x> = d_x * d * sum_g scale[g] * <u_g, q_g>  -  d_x * dmin * sum_g min[g] * sum(q_g).
// Both sums are exact integers in fixed lanes, followed by one float multiply-add to each lane's running sum.
// Where d = dmin, the second sum joins the first as an integer: symmetric formats, with min = zero_point * scale.
// Codebook formats with signed codes of up to 62 have no second sum.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

/// Unpack gives, for a block: d() as V::F, scales() as V::Scales, codes<j>() for j in [0, 4) as V::Codes (64 codes)
/// and, unless these are V::Signed, mins() as V::Mins with either dmin() or their factor under d, `zero_point`.
template <class V, class Block, class Unpack>
struct Tile256 {
  static constexpr ActivationFormat activation = ActivationFormat::q8_256;
  static constexpr int max_tokens = V::tokens_256;
  template <int T>
  static constexpr int rows = 1;  // one row at a time reads memory in order: two at once halved its rate

  template <int R, int T>
  static void run(const MatmulCall& call, int row, int token) {
    const Block* w[R];
    ActivationQ8_256 x[T];
    typename V::F sum[R][T];
    unroll<R>([&](auto r) {
      w[r] = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride);
      unroll<T>([&](auto t) { sum[r][t] = V::zero(); });
    });
    unroll<T>([&](auto t) { x[t] = view_q8_256(call.x[token + t], call.k); });
    const int blocks = call.k / 256;
    for (int b = 0; b < blocks; ++b)
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        if constexpr (T == 1)
          unroll<(sizeof(Block) + 63) / 64>([&](auto line) { V::prefetch(w[r] + b, V::prefetch_bytes + 64 * line); });
        block<T>(w[r][b], b, x, sum[r]);
      });
    unroll<R>([&](auto r) { unroll<T>([&](auto t) { call.y[token + t][row + r] = V::sum(sum[r][t]); }); });
  }

  template <int T>
  [[gnu::always_inline]] static void block(const Block& w, int b, const ActivationQ8_256* x, typename V::F* sum) {
    typename V::Ints dot[T];
    const auto scales = Unpack::scales(w);
    const auto d = Unpack::d(w);
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      dot[t] = V::no_ints();
      if constexpr (requires { Unpack::mins(w); }) {
        const auto subtrahend = V::dot_sums(Unpack::mins(w), x[t].sums + 16 * b);
        if constexpr (requires { Unpack::zero_point; })
          dot[t] = V::template negated_times<Unpack::zero_point>(subtrahend);
        else
          sum[t] = V::subtract_product(sum[t], V::mul(Unpack::dmin(w), V::set(x[t].d[b])), subtrahend);
      }
    });
    unroll<2>([&](auto half) __attribute__((always_inline)) {
      const auto first = Unpack::template codes<2 * half>(w), second = Unpack::template codes<2 * half + 1>(w);
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        dot[t] = V::template add_dots<half>(dot[t], first, second, x[t].q + 256 * b + 128 * half, scales);
      });
    });
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      sum[t] = V::add_product(sum[t], V::mul(d, V::set(x[t].d[b])), dot[t]);
    });
  }
};

}  // namespace strata::kernels
