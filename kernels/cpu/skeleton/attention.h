// Owns: attention of one query head over one split of cached positions. Knows no instruction.
// Online softmax (arXiv:1805.02867): the running maximum, sum and weighted values are rescaled once for each split, so
// a result depends on the splits it was given, never on the positions' grouping inside this function.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/elementwise.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

template <class V>
struct Attention {
  using F = typename V::F;

  /// scores[i] = scale * <q, k_i> for P positions from `first` on; element d is added to lane d mod V::lanes.
  template <int P, class Element>
  static void dots(const AttentionSplit& call, const Element* k, int first) {
    F sum[P];
    unroll<P>([&](auto p) { sum[p] = V::zero(); });
    const Element* row = k + static_cast<std::size_t>(first) * static_cast<std::size_t>(call.k_dim);
    int d = 0;
    for (; d + V::lanes <= call.k_dim; d += V::lanes) {
      const F q = V::load(call.q + d);
      unroll<P>([&](auto p) { sum[p] = V::fma(q, V::load(row + p * call.k_dim + d), sum[p]); });
    }
    if (const int rest = call.k_dim - d; rest > 0) {
      const F q = V::load(call.q + d, rest);
      unroll<P>([&](auto p) { sum[p] = V::fma(q, V::load(row + p * call.k_dim + d, rest), sum[p]); });
    }
    unroll<P>([&](auto p) { call.scores[first + p] = call.scale * V::sum(sum[p]); });
  }

  /// acc[d] = acc[d] * keep + sum_i scores[i] * v_i[d], in the order of i, for C registers of d.
  template <int C, class Element>
  static void values(const AttentionSplit& call, const Element* v, int d, float keep) {
    F acc[C];
    const F factor = V::set(keep);
    unroll<C>([&](auto c) { acc[c] = V::mul(V::load(call.acc + d + c * V::lanes), factor); });
    const Element* row = v + d;
    for (int i = 0; i < call.count; ++i, row += call.v_stride) {
      const F p = V::set(call.scores[i]);
      unroll<C>([&](auto c) { acc[c] = V::fma(p, V::load(row + c * V::lanes), acc[c]); });
    }
    unroll<C>([&](auto c) { V::store(call.acc + d + c * V::lanes, acc[c]); });
  }
  template <class Element>
  static void last_values(const AttentionSplit& call, const Element* v, int d, float keep) {
    const int rest = call.v_dim - d;
    F acc = V::mul(V::load(call.acc + d, rest), V::set(keep));
    const Element* row = v + d;
    for (int i = 0; i < call.count; ++i, row += call.v_stride)
      acc = V::fma(V::set(call.scores[i]), V::load(row, rest), acc);
    V::store(call.acc + d, acc, rest);
  }

  template <class Element>
  static void run(const AttentionSplit& call) {
    using E = Elementwise<V>;
    const auto* k = static_cast<const Element*>(call.k);
    const auto* v = static_cast<const Element*>(call.v);
    int i = 0;
    for (; i + 4 <= call.count; i += 4) dots<4>(call, k, i);
    for (; i < call.count; ++i) dots<1>(call, k, i);
    if (call.softcap != 0) E::softcap(call.scores, call.softcap, call.scores, call.count);

    const float none = -__builtin_inff(), before = *call.max;
    const float within = E::largest(call.scores, call.count), now = within > before ? within : before;
    // Nothing but -infinity so far: any finite reference gives weights of zero.
    const float reference = now == none ? 0.0f : now;
    using B = typename E::B;
    E::map(call.scores, call.count, [m = B(reference)](const B& s) { return exp(s - m); },
           static_cast<const float*>(call.scores));
    const float keep = before == none ? 0.0f : E::exp_of(before - reference);
    const float added = E::map_sum(call.scores, call.count, [](const B& p) { return p; });
    *call.sum = *call.sum * keep + added;
    *call.max = now;

    int d = 0;
    for (; d + 8 * V::lanes <= call.v_dim; d += 8 * V::lanes) values<8>(call, v, d, keep);
    for (; d + 2 * V::lanes <= call.v_dim; d += 2 * V::lanes) values<2>(call, v, d, keep);
    for (; d + V::lanes <= call.v_dim; d += V::lanes) values<1>(call, v, d, keep);
    if (d < call.v_dim) last_values(call, v, d, keep);
  }

  static void split(const AttentionSplit& call) {
    if (call.count <= 0) return;
    if (call.format == KvFormat::f16)
      run<formats::Half>(call);
    else
      run<float>(call);
  }
};

}  // namespace strata::kernels
