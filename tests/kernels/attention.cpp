// Owns: the tests of attention's kernel: double arithmetic, formats, runs, company, page ends.
#include <algorithm>
#include <string>

#include "kernels/fixture.h"

using namespace strata;
using namespace strata::test;

namespace {

struct Cache {
  const char* name;
  KvFormat format;
  TensorType type;
};
constexpr Cache kCaches[] = {{"f32", KvFormat::f32, TensorType::f32},
                             {"f16", KvFormat::f16, TensorType::f16},
                             {"q8_0", KvFormat::q8_0, TensorType::q8_0},
                             {"q4_0", KvFormat::q4_0, TensorType::q4_0}};

struct Dims {
  int k, v;
  bool within = false;  ///< values are the beginning of keys
};
/// Whole vectors and not, shorter and longer than tiles, of whole blocks and not.
constexpr Dims kDims[] = {{64, 64}, {128, 128}, {96, 32}, {32, 160}, {576, 512, true}, {16, 16}, {7, 5}, {80, 300}, {33, 7, true}, {1, 1}};
/// Lengths of runs: of less, as many and more positions than a vector has lanes.
const std::vector<int> kRuns = {64, 5, 33, 1, 16, 4, 24};

bool fits(const Cache& cache, const Dims& dims) {
  const auto block = static_cast<int>(type_info(cache.type)->block);
  return dims.k % block == 0 && dims.v % block == 0;
}

/// What one key/value head remembers, as it lies in memory and as floats.
struct Head {
  Cache cache;
  Dims dims;
  int depth = 0;
  std::vector<float> k, v;
  std::vector<std::unique_ptr<Guarded<std::uint8_t>>> memory;  // each run ends at an unmapped page
  std::vector<AttentionRun> runs;

  Head(const Cache& c, const Dims& d, const std::vector<int>& lengths, float spoiled = 0) : cache(c), dims(d) {
    for (const int n : lengths) depth += n;
    k = random_floats(std::size_t(d.k) * depth, 2);
    v = random_floats(std::size_t(d.v) * depth, 3);
    if (spoiled != 0) k[k.size() / 2] = v[v.size() / 2] = spoiled;
    int first = 0;
    for (const int n : lengths) {
      const void* keys = store(k, d.k, first, n);
      runs.push_back({keys, d.within ? keys : store(v, d.v, first, n), n});
      first += n;
    }
    if (d.within)
      for (int i = 0; i < depth; ++i) std::copy_n(&k[std::size_t(i) * d.k], d.v, &v[std::size_t(i) * d.v]);
  }
  const void* store(std::vector<float>& rows, int dim, int first, int count) {
    std::vector<std::uint8_t> bytes(row_bytes(cache.type, dim) * count);
    float* from = &rows[std::size_t(first) * dim];
    formats::find(cache.type)->encode(from, nullptr, bytes.data(), std::int64_t(dim) * count);
    formats::find(cache.type)->decode(bytes.data(), from, std::int64_t(dim) * count);
    memory.push_back(std::make_unique<Guarded<std::uint8_t>>(bytes));
    return memory.back()->data();
  }
  Head as_floats(const std::vector<int>& lengths) const {
    Head out({"f32", KvFormat::f32, TensorType::f32}, dims, {});
    out.depth = depth, out.k = k, out.v = v;
    int first = 0;
    for (const int n : lengths) {
      const void* keys = out.store(out.k, dims.k, first, n);
      out.runs.push_back({keys, dims.within ? keys : out.store(out.v, dims.v, first, n), n});
      first += n;
    }
    return out;
  }
};

/// Query heads, the positions that they see, and what they have so far.
struct Queries {
  std::vector<float> q, max, sum, acc;
  std::vector<std::pair<int, int>> seen;  ///< [first, count)

  Queries(const Dims& dims, std::vector<std::pair<int, int>> sees, float spread = 1)
      : q(random_floats(sees.size() * std::size_t(dims.k), 1, spread)), max(sees.size(), -kInfinity), sum(sees.size(), 0.0f),
        acc(sees.size() * std::size_t(dims.v), 0.0f), seen(std::move(sees)) {}

  /// Runs [from, to) of a head, `together` queries to a call.
  void attend(const IsaKernels& isa, const Head& head, std::size_t together, float softcap = 0, std::size_t from = 0, std::size_t to = 99) {
    to = std::min(to, head.runs.size());
    int count = 0;
    for (std::size_t r = from; r < to; ++r) count += head.runs[r].count;
    Guarded<float> scratch(attention_scratch(head.dims.k)), out(acc), in(q);
    for (std::size_t i = 0; i < seen.size(); i += together) {
      std::vector<std::unique_ptr<Guarded<float>>> scores;
      std::vector<AttentionQuery> queries;
      for (std::size_t j = i; j < std::min(seen.size(), i + together); ++j) {
        scores.push_back(std::make_unique<Guarded<float>>(std::size_t(count)));
        queries.push_back({in.data() + j * head.dims.k, seen[j].first, std::min(seen[j].second, count), scores.back()->data(), &max[j], &sum[j],
                           out.data() + j * head.dims.v});
      }
      isa.attention_split({queries.data(), static_cast<int>(queries.size()), head.runs.data() + from, static_cast<int>(to - from), head.dims.k,
                           head.dims.v, head.dims.within ? head.dims.k : head.dims.v, 0.3f, softcap, head.cache.format, scratch.data(),
                           to < head.runs.size() ? head.runs[to].k : nullptr});
    }
    acc.assign(out.data(), out.data() + out.size());
  }

  /// sum_i softmax(0.3 <q, k_i>) v_i over what query j sees.
  std::vector<double> exact(const Head& head, std::size_t j, double softcap = 0) const {
    std::vector<double> score, out(std::size_t(head.dims.v), 0.0);
    double most = -HUGE_VAL, total = 0;
    for (int i = seen[j].first; i < seen[j].second; ++i) {
      double s = 0;
      for (int d = 0; d < head.dims.k; ++d) s += double(q[j * head.dims.k + d]) * head.k[std::size_t(i) * head.dims.k + d];
      s *= double(0.3f);
      score.push_back(softcap != 0 ? softcap * std::tanh(s / softcap) : s);
      most = std::max(most, score.back());
    }
    for (double& s : score) total += s = std::exp(s - most);
    for (std::size_t i = 0; i < score.size(); ++i)
      for (int d = 0; d < head.dims.v; ++d) out[d] += score[i] / total * head.v[(i + std::size_t(seen[j].first)) * head.dims.v + d];
    return out;
  }
  /// Scores differ by |q| |k| ulps at most, which is a relative error of the weights.
  void check(const Head& head, double softcap = 0) const {
    for (std::size_t j = 0; j < seen.size(); ++j) {
      double length = 0;
      for (int d = 0; d < head.dims.k; ++d) length += std::fabs(q[j * head.dims.k + d]);
      const std::vector<double> right = exact(head, j, softcap);
      for (int d = 0; d < head.dims.v; ++d)
        REQUIRE(std::fabs(acc[j * head.dims.v + d] / sum[j] - right[d]) <= (64 + 8 * length) * 0x1p-24 * 4);
    }
  }
  void equal(const Queries& other) const {
    REQUIRE(std::equal(acc.begin(), acc.end(), other.acc.begin(), other.acc.end(), same));
    REQUIRE(std::equal(max.begin(), max.end(), other.max.begin(), other.max.end(), same));
    REQUIRE(std::equal(sum.begin(), sum.end(), other.sum.begin(), other.sum.end(), same));
  }
};

std::string label(const IsaKernels& isa, const Cache& cache, const Dims& dims) {
  return std::string(isa.name) + " " + cache.name + " dims " + std::to_string(dims.k) + ", " + std::to_string(dims.v) + (dims.within ? " within keys" : "");
}

/// Positions that `n` queries of a prompt see: ends one behind the other, in `window`s where it is given.
std::vector<std::pair<int, int>> prompt(int depth, int n, int window = 0) {
  std::vector<std::pair<int, int>> out;
  for (int i = 0; i < n; ++i) {
    const int end = std::max(depth - (n - 1 - i) / 3, 0);  // three heads
    out.push_back({window > 0 ? std::max(end - window, 0) : 0, end});
  }
  return out;
}

}  // namespace

TEST_CASE("attention agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches)
      for (const Dims& dims : kDims)
        for (const float spread : {1.0f, 30.0f}) {
          if (!fits(cache, dims)) continue;
          INFO(label(*isa, cache, dims));
          const Head head(cache, dims, kRuns);
          Queries one(dims, {{0, head.depth}}, spread), some(dims, prompt(head.depth, 13, 40), spread);
          for (Queries* queries : {&one, &some}) {
            queries->attend(*isa, head, 99);
            queries->check(head);
          }
        }
}

TEST_CASE("attention goes on where a call left off") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches)
      for (const Dims& dims : {Dims{64, 64}, {96, 32}, {7, 5}})
        if (fits(cache, dims)) {
          INFO(label(*isa, cache, dims));
          const Head head(cache, dims, kRuns);
          Queries queries(dims, {{0, head.depth}}, 10);
          for (std::size_t r = 0; r < head.runs.size(); ++r) queries.attend(*isa, head, 1, 0, r, r + 1);
          queries.check(head);
        }
}

TEST_CASE("attention with capped scores agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables())
    for (const float spread : {1.0f, 30.0f}) {
      INFO(isa->name << " spread " << spread);
      const Dims dims{64, 48};
      const Head head(kCaches[0], dims, kRuns);
      Queries queries(dims, prompt(head.depth, 10), spread);
      queries.attend(*isa, head, 10, 5.0f);
      queries.check(head, 5.0);
    }
}

TEST_CASE("attention on f16 rows equals attention on the same numbers as floats") {
  for (const IsaKernels* isa : machine_tables())
    for (const Dims& dims : kDims)
      for (const int count : {1, 9}) {
        INFO(label(*isa, kCaches[1], dims) << ", " << count << " queries");
        const Head head(kCaches[1], dims, kRuns), floats = head.as_floats(kRuns);
        Queries a(dims, prompt(head.depth, count)), b = a;
        a.attend(*isa, head, 99);
        b.attend(*isa, floats, 99);
        a.equal(b);
      }
}

// Scores may be computed in integers there. Queries are rounded to 22 bits then, at the worst in a block with one large
// element; that is an error of the scores as small as float arithmetic's.
TEST_CASE("attention on quantised rows is near attention on the same numbers as floats") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : {kCaches[2], kCaches[3]})
      for (const Dims& dims : kDims)
        for (const int count : {1, 9}) {
          if (!fits(cache, dims)) continue;
          INFO(label(*isa, cache, dims) << ", " << count << " queries");
          const Head head(cache, dims, kRuns), floats = head.as_floats(kRuns);
          Queries a(dims, prompt(head.depth, count));
          for (std::size_t i = 0; i < a.q.size(); i += 32) a.q[i] *= 8;
          for (std::size_t i = 64; i < 96 && i < a.q.size(); ++i) a.q[i] = 0;
          Queries b = a;
          a.attend(*isa, head, 99);
          b.attend(*isa, floats, 99);
          double error = 0, power = 0;
          for (std::size_t i = 0; i < a.acc.size(); ++i) {
            const double x = a.acc[i] / a.sum[i / dims.v], y = b.acc[i] / b.sum[i / dims.v];
            error += (x - y) * (x - y);
            power += y * y;
          }
          REQUIRE(error <= 1e-11 * power);  // the bound of a product of floats
        }
}

TEST_CASE("a query that is not a number has no result, in any format") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches)
      for (const float broken : {kNan, kInfinity, -kInfinity}) {
        INFO(label(*isa, cache, {64, 64}) << " " << broken);
        const Head head(cache, {64, 64}, kRuns);
        Queries queries({64, 64}, prompt(head.depth, 5));
        queries.q[2 * 64 + 40] = broken;
        queries.attend(*isa, head, 99);
        for (std::size_t i = 0; i < queries.acc.size(); ++i)
          REQUIRE(std::isfinite(queries.acc[i] / queries.sum[i / 64]) == (i / 64 != 2));
      }
}

TEST_CASE("where runs begin changes nothing, to the bit") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches)
      for (const Dims& dims : {Dims{64, 64}, {96, 32}, {576, 512, true}, {7, 5}})
        for (const int count : {1, 9}) {
          if (!fits(cache, dims)) continue;
          INFO(label(*isa, cache, dims) << ", " << count << " queries");
          const Head cut(cache, dims, kRuns), other(cache, dims, {3, 70, 74}), whole(cache, dims, {147});
          Queries a(dims, prompt(147, count, 100)), b = a, c = a;
          a.attend(*isa, cut, 99);
          b.attend(*isa, other, 99);
          c.attend(*isa, whole, 99);
          a.equal(b);
          a.equal(c);
        }
}

TEST_CASE("queries that share a call get what each gets alone, to the bit") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches)
      for (const Dims& dims : {Dims{64, 64}, {128, 300}, {160, 96}, {7, 5}, {33, 40}}) {
        if (!fits(cache, dims)) continue;
        INFO(label(*isa, cache, dims));
        const Head head(cache, dims, kRuns);
        for (const auto& seen : {prompt(147, 2), prompt(147, 4), prompt(147, 7), prompt(140, 15, 70), prompt(147, 70), prompt(20, 66),
                                 {{0, 20}, {3, 7}, {0, 0}, {147, 147}, {100, 147}, {146, 147}, {0, 1}, {5, 5}, {30, 90}}}) {
          Queries together(dims, seen);
          for (std::size_t j = 0; j < seen.size(); ++j) {  // as if they had seen something
            together.max[j] = 0.1f * static_cast<float>(j % 7);
            together.sum[j] = 1.5f;
          }
          together.acc = random_floats(together.acc.size(), 4);
          const Queries start = together;
          Queries alone = together;
          together.attend(*isa, head, 99);
          alone.attend(*isa, head, 1);
          together.equal(alone);
          for (std::size_t j = 0; j < seen.size(); ++j)
            REQUIRE((together.sum[j] == start.sum[j]) == (seen[j].first >= seen[j].second));
        }
      }
}

TEST_CASE("attention of nothing changes nothing") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : kCaches) {
      const Dims dims{32, 32};
      const Head none(cache, dims, {}), some(cache, dims, {3});
      Queries queries(dims, {{0, 0}});
      queries.attend(*isa, none, 1);
      CHECK(queries.max[0] == -kInfinity);
      CHECK(queries.sum[0] == 0);
      queries.seen = {{0, 3}};
      queries.attend(*isa, some, 1);
      const Queries before = queries;
      queries.seen = {{2, 2}};
      queries.attend(*isa, some, 1);
      queries.equal(before);
    }
}

TEST_CASE("attention stays finite for scores beyond the range of exp, and hands NaN on to those who see it") {
  for (const IsaKernels* isa : machine_tables())
    for (const Cache& cache : {kCaches[0], kCaches[1]})
      for (const int count : {1, 5, 20}) {
        INFO(label(*isa, cache, {16, 16}) << ", " << count << " queries");
        const Dims dims{16, 16};
        const Head head(cache, dims, {20, 27});
        Queries wide(dims, prompt(47, count), 1e5f);
        wide.attend(*isa, head, 99, 0, 0, 1);
        for (auto& seen : wide.seen) seen = {0, 27};
        wide.attend(*isa, head, 99, 0, 1, 2);
        for (std::size_t i = 0; i < wide.acc.size(); ++i) CHECK(std::isfinite(wide.acc[i] / wide.sum[i / 16]));
        for (const float spoiled : {kNan, kInfinity}) {
          const Head broken(cache, dims, {47}, spoiled);  // position 23
          Queries queries(dims, {});
          for (int i = 0; i < count; ++i) queries.seen.push_back(i % 3 == 0 ? std::pair{0, 23} : i % 3 == 1 ? std::pair{24, 47} : std::pair{20, 40});
          Queries all(dims, queries.seen);
          all.attend(*isa, broken, 99);
          for (std::size_t i = 0; i < all.acc.size(); ++i) {
            const bool finite = std::isfinite(all.acc[i] / all.sum[i / 16]);
            if (i / 16 % 3 < 2) CHECK(finite);
            if (i / 16 % 3 == 2 && std::isnan(spoiled)) CHECK(!finite);
          }
        }
      }
}
