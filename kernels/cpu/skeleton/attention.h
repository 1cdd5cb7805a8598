// Owns: attention of query heads over one run of cached positions. Knows no instruction.
// Online softmax (arXiv:1805.02867): the running maximum, sum and weighted values of a query are rescaled once for each
// call, so a result depends on the runs it was given, never on the positions' grouping inside, or on other queries.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/elementwise.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

template <class V>
struct Attention {
  using F = typename V::F;
  /// Queries that keys and values are read once for, and positions and vectors of values at a time then: as many sums as
  /// registers hold.
  static constexpr int together = 4, positions = V::lanes > 8 ? 4 : 2, vectors = V::lanes > 8 ? 4 : 2;

  /// scores[i] = scale * <q, k_i> for P positions from `first` on; element d is added to lane d mod V::lanes.
  template <int Q, int P, class Element>
  static void dots(const AttentionSplit& call, const AttentionQuery* query, const Element* k, int first) {
    F sum[Q][P];
    unroll<Q>([&](auto j) { unroll<P>([&](auto p) { sum[j][p] = V::zero(); }); });
    const Element* row = k + static_cast<std::size_t>(first) * static_cast<std::size_t>(call.k_dim);
    const auto step = [&](int d, auto... rest) __attribute__((always_inline)) {
      F q[Q];
      unroll<Q>([&](auto j) __attribute__((always_inline)) { q[j] = V::load(query[j].q + d, rest...); });
      unroll<P>([&](auto p) __attribute__((always_inline)) {
        const F key = V::load(row + p * call.k_dim + d, rest...);
        unroll<Q>([&](auto j) __attribute__((always_inline)) { sum[j][p] = V::fma(q[j], key, sum[j][p]); });
      });
    };
    int d = 0;
    for (; d + V::lanes <= call.k_dim; d += V::lanes) step(d);
    if (const int rest = call.k_dim - d; rest > 0) step(d, rest);
    unroll<Q>([&](auto j) { unroll<P>([&](auto p) { query[j].scores[first + p] = call.scale * V::sum(sum[j][p]); }); });
  }

  /// Turns a query's scores into weights and moves its maximum and sum on; returns what its values so far are scaled by.
  static float soften(const AttentionSplit& call, const AttentionQuery& query) {
    using E = Elementwise<V>;
    if (call.softcap != 0) E::softcap(query.scores, call.softcap, query.scores, query.count);
    const float none = -__builtin_inff(), before = *query.max;
    const float within = E::largest(query.scores, query.count), now = within > before ? within : before;
    // Nothing but -infinity so far: any finite reference gives weights of zero.
    const float reference = now == none ? 0.0f : now;
    using B = typename E::B;
    E::map(query.scores, query.count, [m = B(reference)](const B& s) { return exp(s - m); },
           static_cast<const float*>(query.scores));
    const float keep = before == none ? 0.0f : E::exp_of(before - reference);
    const float added = E::map_sum(query.scores, query.count, [](const B& p) { return p; });
    *query.sum = *query.sum * keep + added;
    *query.max = now;
    return keep;
  }

  /// acc[d] = acc[d] * keep + sum_i scores[i] * v_i[d], in the order of i, for C vectors from d on; `rest` of the lanes of
  /// one vector, where it is given.
  template <int Q, int C, class Element, class... Rest>
  static void values(const AttentionSplit& call, const AttentionQuery* query, const Element* v, int d, const float* keep,
                     int common, Rest... rest) {
    F acc[Q][C];
    unroll<Q>([&](auto j) {
      unroll<C>([&](auto c) { acc[j][c] = V::mul(V::load(query[j].acc + d + c * V::lanes, rest...), V::set(keep[j])); });
    });
    const auto at = [&](int i) { return v + static_cast<std::size_t>(i) * static_cast<std::size_t>(call.v_stride) + d; };
    for (int i = 0; i < common; ++i) {
      const Element* row = at(i);
      F p[Q];
      unroll<Q>([&](auto j) __attribute__((always_inline)) { p[j] = V::set(query[j].scores[i]); });
      unroll<C>([&](auto c) __attribute__((always_inline)) {
        const F value = V::load(row + c * V::lanes, rest...);
        unroll<Q>([&](auto j) __attribute__((always_inline)) { acc[j][c] = V::fma(p[j], value, acc[j][c]); });
      });
    }
    unroll<Q>([&](auto j) {
      for (int i = common; i < query[j].count; ++i) {
        const F p = V::set(query[j].scores[i]);
        unroll<C>([&](auto c) { acc[j][c] = V::fma(p, V::load(at(i) + c * V::lanes, rest...), acc[j][c]); });
      }
      unroll<C>([&](auto c) { V::store(query[j].acc + d + c * V::lanes, acc[j][c], rest...); });
    });
  }

  template <int Q, class Element>
  static void run(const AttentionSplit& call, const AttentionQuery* query) {
    const auto* k = static_cast<const Element*>(call.k);
    const auto* v = static_cast<const Element*>(call.v);
    int most = 0, common = call.count;
    unroll<Q>([&](auto j) {
      most = query[j].count > most ? query[j].count : most;
      common = query[j].count < common ? query[j].count : common;
    });
    constexpr int P = Q > 1 ? positions : 4, C = Q > 1 ? vectors : 8;
    int i = 0;
    for (; i + P <= most; i += P) dots<Q, P>(call, query, k, i);
    for (; i < most; ++i) dots<Q, 1>(call, query, k, i);
    float keep[Q];
    unroll<Q>([&](auto j) { keep[j] = soften(call, query[j]); });
    int d = 0;
    for (; d + C * V::lanes <= call.v_dim; d += C * V::lanes) values<Q, C>(call, query, v, d, keep, common);
    for (; d + 2 * V::lanes <= call.v_dim; d += 2 * V::lanes) values<Q, 2>(call, query, v, d, keep, common);
    for (; d + V::lanes <= call.v_dim; d += V::lanes) values<Q, 1>(call, query, v, d, keep, common);
    if (d < call.v_dim) values<Q, 1>(call, query, v, d, keep, common, call.v_dim - d);
  }

  template <class Element>
  static void run_all(const AttentionSplit& call) {
    int i = 0;
    const auto all_see = [&](int n) {
      for (int j = i; j < i + n; ++j)
        if (call.queries[j].count <= 0) return false;
      return true;
    };
    while (i < call.query_count)
      if (i + together <= call.query_count && all_see(together)) {
        run<together, Element>(call, call.queries + i);
        i += together;
      } else {
        if (all_see(1)) run<1, Element>(call, call.queries + i);
        ++i;
      }
  }

  static void split(const AttentionSplit& call) {
    if (call.format == KvFormat::f16)
      run_all<formats::Half>(call);
    else
      run_all<float>(call);
  }
};

}  // namespace strata::kernels
