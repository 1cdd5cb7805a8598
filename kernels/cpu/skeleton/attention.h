// Owns: attention of query heads over runs of cached positions. Knows no instruction.
// A score is the sum of chains of multiply-adds over 16 elements of its key each, with positions in the lanes; values are
// added in the order of positions, with elements in the lanes. Online softmax (arXiv:1805.02867): the running maximum, sum and weighted
// values of a query are rescaled once for each call. So a result depends on the positions of its calls, never on how runs cut
// them, or on other queries.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/elementwise.h"
#include "kernels/cpu/skeleton/key_integers.h"
#include "kernels/cpu/skeleton/kv_rows.h"
#include "kernels/cpu/skeleton/unroll.h"

namespace strata::kernels {

template <class V>
struct Attention {
  using F = typename V::F;
  using E = Elementwise<V>;
  using Query = const AttentionQuery*;
  /// Up to this many queries multiply keys as they are read; more take them from a tile of columns.
  static constexpr int direct_queries = V::direct_queries;
  /// More queries than this take values from a tile, which is converted once.
  static constexpr int few_queries = 2 * V::value_queries;
  /// Of a tile of columns: positions. Of a tile of values: positions, elements.
  static constexpr int key_positions = V::key_vectors * V::lanes, value_positions = 64, value_elements = V::value_vectors * V::lanes;
  static constexpr int most_queries = 64;  ///< handled together
  static constexpr int chain = 16;         ///< products that are added one to the other

  static_assert(key_positions <= kAttentionColumns && value_positions * value_elements <= kAttentionValues);

  /// body(Index<Q>, i) for groups [i, i + Q) of n, as large as can be.
  template <int Q, class Body>
  [[gnu::always_inline]] static void in_groups(int i, int n, const Body& body) {
    for (; i + Q <= n; i += Q) body(Index<Q>{}, i);
    if constexpr (Q > 1) in_groups<Q / 2>(i, n, body);
  }
  /// body(Index<n>) if n is between 1 and Most.
  template <int Most, class Body>
  [[gnu::always_inline]] static bool exactly(int n, const Body& body) {
    if constexpr (Most > 0) {
      if (n == Most) return body(Index<Most>{}), true;
      return exactly<Most - 1>(n, body);
    }
    return false;
  }
  /// V::lanes positions from `at` on, or fewer where a run ends; the last ones overlap those before where a run has enough.
  static int place(int at, int run) { return at + V::lanes > run && run >= V::lanes ? run - V::lanes : at; }
  static int positions(int at, int run) { return run - at < V::lanes ? run - at : V::lanes; }

  static void put(float* to, F scores, float scale, int n) {
    scores = V::mul(V::set(scale), scores);
    if (n == V::lanes)
      V::store(to, scores);
    else
      V::store(to, scores, n);
  }

  /// A run as the kernels see it: rows of an Element.
  template <class Element>
  struct Run {
    const Element *k, *v;
    std::size_t k_stride, v_stride;  ///< Elements between rows
    int first, count;                ///< the number of its first position in the call
    const Element *next_k, *next_v;  ///< rows that are read after these; perhaps null

    const Element* keys(int at) const { return k + static_cast<std::size_t>(at) * k_stride; }
    const Element* values(int at) const { return v + static_cast<std::size_t>(at) * v_stride; }
  };
  /// Fetches N Elements of what will be read; not into the first-level cache, which waits for few lines at a time.
  template <int N, class Element>
  [[gnu::always_inline]] static void fetch(const Element* p) {
    unroll<(N * static_cast<int>(sizeof(Element)) + 63) / 64>([&](auto line) __attribute__((always_inline)) {
      V::fetch(reinterpret_cast<const char*>(p) + 64 * line);
    });
  }

  /// Scores of C times V::lanes positions for Q queries: their columns are in a tile, at[c] is the number of the first, n[c] how
  /// many there are.
  template <int Q, int C>
  static void scores(const AttentionSplit& call, const Query* query, const float* tile, const int* at, const int* n) {
    F total[Q][C];
    unroll<Q>([&](auto j) { unroll<C>([&](auto c) { total[j][c] = V::zero(); }); });
    for (int d = 0; d < call.k_dim;) {
      const int end = call.k_dim - d < chain ? call.k_dim : d + chain;
      F sum[Q][C];
      unroll<Q>([&](auto j) __attribute__((always_inline)) {
        unroll<C>([&](auto c) __attribute__((always_inline)) { sum[j][c] = V::zero(); });
      });
      for (; d < end; ++d, tile += key_positions) {
        F key[C];
        unroll<C>([&](auto c) __attribute__((always_inline)) { key[c] = V::load(tile + c * V::lanes); });
        unroll<Q>([&](auto j) __attribute__((always_inline)) {
          const F q = V::set(query[j]->q[d]);
          unroll<C>([&](auto c) __attribute__((always_inline)) { sum[j][c] = V::fma(q, key[c], sum[j][c]); });
        });
      }
      unroll<Q>([&](auto j) __attribute__((always_inline)) {
        unroll<C>([&](auto c) __attribute__((always_inline)) { total[j][c] = V::add(total[j][c], sum[j][c]); });
      });
    }
    unroll<Q>([&](auto j) { unroll<C>([&](auto c) { put(query[j]->scores + at[c], total[j][c], call.scale, n[c]); }); });
  }

  /// Prefetching of the rows that follow: what is read of V::lanes rows from `from` on says how far it is.
  template <class Element>
  [[gnu::always_inline]] static auto fetching(const Run<Element>& run, int from) {
    return [next = run.next_k ? run.next_k + static_cast<std::size_t>(from) * run.k_stride : nullptr](int read) __attribute__((always_inline)) {
      if (next) fetch<V::lanes * KvRows<V, Element>::step>(next + read);
    };
  }

  /// The positions [begin, end) of a run, and some beside them, in tiles: fill(from, c, pause) makes vector c of a tile from the
  /// rows from `from` on; then take(C, i, at, n) uses C vectors of it from the i-th on.
  template <class Element, class Fill, class Take>
  [[gnu::always_inline]] static void in_tiles(const Run<Element>& run, int begin, int end, const Fill& fill, const Take& take) {
    for (int at = begin; at < end;) {
      int to[V::key_vectors], n[V::key_vectors], c = 0;
      for (; c < V::key_vectors && at < end; ++c, at += V::lanes) {
        const int from = place(at, run.count);
        to[c] = run.first + from;
        n[c] = positions(from, run.count);
        fill(from, c, fetching(run, from));
      }
      if (c == V::key_vectors)
        take(Index<V::key_vectors>{}, 0, to, n);
      else
        for (int i = 0; i < c; ++i) take(Index<1>{}, i, to + i, n + i);
    }
  }

  /// The scores of Q queries, without a tile: the same sums in the same order.
  template <int Q, class Element>
  static void score_directly(const AttentionSplit& call, const Query* query, const Run<Element>& run, int begin, int end) {
    const float* q[Q];
    unroll<Q>([&](auto j) { q[j] = query[j]->q; });
    for (int at = begin; at < end; at += V::lanes) {
      const int from = place(at, run.count), n = positions(from, run.count);
      F total[Q], sum[Q];
      unroll<Q>([&](auto j) __attribute__((always_inline)) { total[j] = sum[j] = V::zero(); });
      const auto multiply = [&](int d, auto j, F key) __attribute__((always_inline)) {
        if (j % chain == 0 && (d + j) % chain == 0 && d + j > 0)
          unroll<Q>([&](auto i) __attribute__((always_inline)) { total[i] = V::add(total[i], sum[i]), sum[i] = V::zero(); });
        unroll<Q>([&](auto i) __attribute__((always_inline)) { sum[i] = V::fma(V::set(q[i][d + j]), key, sum[i]); });
      };
      KvRows<V, Element>::columns(run.keys(from), run.k_stride, run.count - from, call.k_dim, multiply, fetching(run, from));
      unroll<Q>([&](auto j) { put(query[j]->scores + run.first + from, V::add(total[j], sum[j]), call.scale, n); });
    }
  }

  template <class Element>
  static void score(const AttentionSplit& call, const Query* query, int count, const Run<Element>& run, int begin, int end) {
    if (exactly<direct_queries>(count, [&](auto q) { score_directly<q>(call, query, run, begin, end); })) return;
    const auto fill = [&](int from, int c, const auto& pause) __attribute__((always_inline)) {
      const auto keep = [tile = call.scratch + c * V::lanes](int d, int j, F key) __attribute__((always_inline)) {
        V::store(tile + static_cast<std::size_t>(d + j) * key_positions, key);
      };
      KvRows<V, Element>::columns(run.keys(from), run.k_stride, run.count - from, call.k_dim, keep, pause);
    };
    in_tiles(run, begin, end, fill, [&](auto c, int i, const int* at, const int* n) __attribute__((always_inline)) {
      in_groups<V::key_queries>(0, count, [&](auto q, int j) __attribute__((always_inline)) {
        scores<q, decltype(c)::value>(call, query + j, call.scratch + i * V::lanes, at, n);
      });
    });
  }

  /// The same in integers. The first part of the scratch is the tile, the second the queries as KeyIntegers has them.
  static constexpr int queries_in_bytes = 24;  ///< that fit there
  template <class Element>
  static constexpr bool in_bytes = KvRows<V, Element>::integers && V::multiplies_bytes;
  template <class Element>
  static std::int8_t* in_scratch(const AttentionSplit& call, int query) {
    using Integers = KeyIntegers<V, Element>;
    static_assert(Integers::tile_bytes(32) + queries_in_bytes * Integers::query_bytes(32) <= 32 * kAttentionColumns * sizeof(float));
    return reinterpret_cast<std::int8_t*>(call.scratch) + Integers::tile_bytes(call.k_dim) + static_cast<std::size_t>(query) * Integers::query_bytes(call.k_dim);
  }
  template <class Element>
  static void score_in_bytes(const AttentionSplit& call, const Query* query, int count, const Run<Element>& run, int begin, int end) {
    using Integers = KeyIntegers<V, Element>;
    const typename Integers::Tile tile(call.scratch, call.k_dim);
    const auto fill = [&](int from, int c, const auto& pause) __attribute__((always_inline)) {
      Integers::columns(run.keys(from), run.k_stride, run.count - from, call.k_dim, tile, c * V::lanes, pause);
    };
    in_tiles(run, begin, end, fill, [&](auto c, int i, const int* at, const int* n) __attribute__((always_inline)) {
      in_groups<Integers::queries>(0, count, [&](auto q, int j) __attribute__((always_inline)) {
        scores_in_bytes<q, decltype(c)::value, Element>(call, query, j, tile, i, at, n);
      });
    });
  }
  template <int Q, int C, class Element>
  static void scores_in_bytes(const AttentionSplit& call, const Query* query, int first, const typename KeyIntegers<V, Element>::Tile& tile, int i,
                              const int* at, const int* n) {
    const std::int8_t* bytes[Q];
    F sum[Q][C];
    unroll<Q>([&](auto j) { bytes[j] = in_scratch<Element>(call, first + j); });
    KeyIntegers<V, Element>::scores(bytes, call.k_dim, tile, i * V::lanes, sum);
    unroll<Q>([&](auto j) { unroll<C>([&](auto c) { put(query[first + j]->scores + at[c], sum[j][c], call.scale, n[c]); }); });
  }

  /// x[i] = exp(x[i] - reference); returns their sum: four batches in turn, then lane by lane.
  static float exponentials(float* x, int n, float reference) {
    const F m = V::set(-reference);
    F sum[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
    int i = 0;
    const auto step = [&](auto c) __attribute__((always_inline)) {
      const F p = exponential(V::add(V::load(x + i), m));
      V::store(x + i, p);
      sum[c] = V::add(sum[c], p);
      i += V::lanes;
    };
    while (i + 4 * V::lanes <= n) unroll<4>([&](auto c) __attribute__((always_inline)) { step(c); });
    while (i + V::lanes <= n) step(Index<0>{});
    if (const int rest = n - i; rest > 0) {
      V::store(x + i, exponential(V::add(V::load(x + i, rest), m)), rest);
      sum[1] = V::add(sum[1], V::load(x + i, rest));
    }
    return V::sum(V::add(V::add(sum[0], sum[2]), V::add(sum[1], sum[3])));
  }
  /// e^x of each lane; x <= 0 or NaN.
  static F exponential(F x) {
    if constexpr (requires { V::exponential(x); }) {
      return V::exponential(x);
    } else {
      float lane[V::lanes];
      V::store(lane, x);
      for (int i = 0; i < V::lanes; i += E::size) E::store(lane + i, exp(E::load(lane + i)));
      return V::load(lane);
    }
  }
  /// Of the elements that are numbers; -infinity where there are none.
  static float largest(const float* x, int n) {
    F most = V::set(-__builtin_inff());
    int i = 0;
    for (; i + V::lanes <= n; i += V::lanes) most = V::max(V::load(x + i), most);
    float out = V::largest(most);
    for (; i < n; ++i) out = x[i] > out ? x[i] : out;
    return out;
  }

  /// Turns a query's scores into weights, moves its maximum and sum on and rescales its values so far.
  static void soften(const AttentionSplit& call, const AttentionQuery& query) {
    float* scores = query.scores + query.first;
    const int n = query.count - query.first;
    if (call.softcap != 0) E::softcap(scores, call.softcap, scores, n);
    const float none = -__builtin_inff(), before = *query.max;
    const float within = largest(scores, n), now = within > before ? within : before;
    // Nothing but -infinity so far: any finite reference gives weights of zero.
    const float reference = now == none ? 0.0f : now;
    const float added = exponentials(scores, n, reference);
    const float keep = before == none ? 0.0f : E::exp_of(before - reference);
    *query.sum = *query.sum * keep + added;
    *query.max = now;
    E::scale(query.acc, keep, query.acc, call.v_dim);
  }

  /// acc[d] += scores[i] * v_i[d] for the positions i in [begin, end) that a query sees, in order, for C vectors from d on;
  /// `rest` of the lanes of one vector, where it is given. `v` is the row of position `begin`, and d its element `at`; `next` is
  /// a row that is read later, as those behind it, or null.
  template <int Q, int C, class Element, class... Rest>
  static void values(const Query* query, const Element* v, const Element* next, int at, std::size_t stride, int begin, int end, int d,
                     Rest... rest) {
    F acc[Q][C];
    int from = begin, to = end;  // what all see
    unroll<Q>([&](auto j) {
      unroll<C>([&](auto c) { acc[j][c] = V::load(query[j]->acc + d + c * V::lanes, rest...); });
      from = query[j]->first > from ? query[j]->first : from;
      to = query[j]->count < to ? query[j]->count : to;
    });
    if (from > to) from = to = begin;
    const auto row = [&](int i, F(&out)[C]) __attribute__((always_inline)) {
      KvRows<V, Element>::template read<C>(v + static_cast<std::size_t>(i - begin) * stride, at, out, rest...);
    };
    const auto alone = [&](auto j, int i, int last) __attribute__((always_inline)) {
      for (i = i > query[j]->first ? i : query[j]->first; i < last; ++i) {
        F value[C];
        row(i, value);
        const F p = V::set(query[j]->scores[i]);
        unroll<C>([&](auto c) { acc[j][c] = V::fma(p, value[c], acc[j][c]); });
      }
    };
    if constexpr (Q > 1) unroll<Q>([&](auto j) __attribute__((always_inline)) { alone(j, begin, from < query[j]->count ? from : query[j]->count); });
    for (int i = from; i < to; ++i) {
      constexpr int block = KvRows<V, Element>::block;
      F value[C];
      row(i, value);
      if (next) fetch<C * V::lanes / block>(next + static_cast<std::size_t>(i - begin) * stride + static_cast<std::size_t>(at / block));
      unroll<Q>([&](auto j) __attribute__((always_inline)) {
        const F p = V::set(query[j]->scores[i]);
        unroll<C>([&](auto c) __attribute__((always_inline)) { acc[j][c] = V::fma(p, value[c], acc[j][c]); });
      });
    }
    unroll<Q>([&](auto j) __attribute__((always_inline)) {
      if constexpr (Q > 1) alone(j, to, end < query[j]->count ? end : query[j]->count);
      unroll<C>([&](auto c) { V::store(query[j]->acc + d + c * V::lanes, acc[j][c], rest...); });
    });
  }

  /// Adds the values of the positions [begin, end) of a run.
  template <class Element>
  static void add(const AttentionSplit& call, const Query* query, int count, const Run<Element>& run, int begin, int end) {
    constexpr int Q = V::value_queries, C = V::value_vectors, whole = KvRows<V, Element>::whole;
    int d = 0;
    const auto some = [&](auto q, auto c, int j, auto... rest) __attribute__((always_inline)) {
      values<q, c>(query + j, run.values(begin), j == 0 ? run.next_v : nullptr, d, run.v_stride, run.first + begin, run.first + end, d, rest...);
    };
    const auto direct = [&](auto c, auto... rest) __attribute__((always_inline)) {
      in_groups<Q>(0, count, [&](auto q, int j) __attribute__((always_inline)) { some(q, c, j, rest...); });
      d += c * V::lanes;
    };
    if constexpr (KvRows<V, Element>::integers && C / 2 % whole == 0)  // a number is converted once for all queries
      if (count == 2 * Q)
        for (; d + C / 2 * V::lanes <= call.v_dim; d += C / 2 * V::lanes) some(Index<2 * Q>{}, Index<C / 2>{}, 0);
    for (; d + C * V::lanes <= call.v_dim;)
      if (count <= few_queries) {
        direct(Index<C>{});
      } else {
        for (int at = begin; at < end; at += value_positions) {
          const int rows = end - at < value_positions ? end - at : value_positions;
          for (int i = 0; i < rows; ++i) {
            F value[C];
            KvRows<V, Element>::template read<C>(run.values(at + i), d, value);
            unroll<C>([&](auto c) { V::store(call.scratch + i * value_elements + c * V::lanes, value[c]); });
          }
          in_groups<Q>(0, count, [&](auto q, int j) __attribute__((always_inline)) {
            values<q, C>(query + j, call.scratch, static_cast<const float*>(nullptr), 0, value_elements, run.first + at, run.first + at + rows, d);
          });
        }
        d += C * V::lanes;
      }
    while (d + whole * V::lanes <= call.v_dim) direct(Index<whole>{});
    if constexpr (whole == 1)
      if (d < call.v_dim) direct(Index<1>{}, call.v_dim - d);
  }

  template <class Element>
  static void attend(const AttentionSplit& call, const Query* query, int count) {
    constexpr std::size_t block = KvRows<V, Element>::block;
    int begin = query[0]->first, end = query[0]->count;  // what some see
    for (int j = 1; j < count; ++j) {
      begin = query[j]->first < begin ? query[j]->first : begin;
      end = query[j]->count > end ? query[j]->count : end;
    }
    const auto each_run = [&](const auto& body) __attribute__((always_inline)) {
      for (int r = 0, first = 0; r < call.run_count; first += call.runs[r++].count) {
        const AttentionRun& run = call.runs[r];
        const int from = begin > first ? begin - first : 0, to = end - first < run.count ? end - first : run.count;
        if (from >= to) continue;
        const bool last = r + 1 == call.run_count;
        body(Run<Element>{static_cast<const Element*>(run.k), static_cast<const Element*>(run.v), static_cast<std::size_t>(call.k_dim) / block,
                          static_cast<std::size_t>(call.v_stride) / block, first, run.count,
                          static_cast<const Element*>(last ? call.runs[0].v : call.runs[r + 1].k),
                          static_cast<const Element*>(last ? call.next : call.runs[r + 1].v)},
             from, to);
      }
    };
    if constexpr (in_bytes<Element>) {
      for (int j = 0; j < count; j += queries_in_bytes) {
        const int some = count - j < queries_in_bytes ? count - j : queries_in_bytes;
        for (int i = 0; i < some; ++i) KeyIntegers<V, Element>::quantize(query[j + i]->q, call.k_dim, in_scratch<Element>(call, i));
        each_run([&](const Run<Element>& run, int from, int to) { score_in_bytes(call, query + j, some, run, from, to); });
      }
    } else {
      each_run([&](const Run<Element>& run, int from, int to) { score(call, query, count, run, from, to); });
    }
    for (int j = 0; j < count; ++j) soften(call, *query[j]);
    each_run([&](const Run<Element>& run, int from, int to) { add(call, query, count, run, from, to); });
  }

  template <class Element>
  static void run_all(const AttentionSplit& call) {
    Query seeing[most_queries];
    int n = 0;
    for (int i = 0; i < call.query_count; ++i) {
      if (call.queries[i].first < call.queries[i].count) seeing[n++] = call.queries + i;
      if (n > 0 && (n == most_queries || i + 1 == call.query_count)) {
        attend<Element>(call, seeing, n);
        n = 0;
      }
    }
  }

  static void split(const AttentionSplit& call) {
    switch (call.format) {
      case KvFormat::f32: return run_all<float>(call);
      case KvFormat::f16: return run_all<formats::Half>(call);
      case KvFormat::q8_0: return run_all<formats::Q8_0::Block>(call);
      case KvFormat::q4_0: return run_all<formats::Q4_0::Block>(call);
    }
  }
};

}  // namespace strata::kernels
