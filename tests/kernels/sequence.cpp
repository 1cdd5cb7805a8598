// Owns: the tests of attention and of the DeltaNet recurrence: double arithmetic, cuts, page ends.
#include "kernels/fixture.h"
#include "kernels/formats/half.h"

using namespace strata;
using namespace strata::test;

namespace {

/// What one head remembers of attention, and the calls on it.
struct Head {
  int k_dim, v_dim;
  std::vector<float> q, k, v;
  float max = -kInfinity, sum = 0;
  std::vector<float> acc;

  Head(int kd, int vd, int depth, float spread = 1)
      : k_dim(kd), v_dim(vd), q(random_floats(kd, 1, spread)), k(random_floats(std::size_t(kd) * depth, 2)),
        v(random_floats(std::size_t(vd) * depth, 3)), acc(vd, 0.0f) {}

  void round_to_f16() {
    for (auto* rows : {&k, &v})
      for (float& x : *rows) x = formats::to_float(formats::to_half(x));
  }

  void attend(const IsaKernels& isa, int first, int count, KvFormat format, float softcap = 0) {
    const Guarded<float> query(q);
    const auto part = [&](const std::vector<float>& rows, int dim) {
      const std::vector<float> floats(rows.begin() + std::size_t(first) * dim, rows.begin() + std::size_t(first + count) * dim);
      std::vector<std::uint8_t> bytes(floats.size() * (format == KvFormat::f16 ? 2 : 4));
      for (std::size_t i = 0; i < floats.size(); ++i) {
        const formats::Half half = formats::to_half(floats[i]);
        format == KvFormat::f16 ? std::memcpy(&bytes[2 * i], &half, 2) : std::memcpy(&bytes[4 * i], &floats[i], 4);
      }
      return bytes;
    };
    const Guarded<std::uint8_t> keys(part(k, k_dim)), values(part(v, v_dim));
    Guarded<float> scores(static_cast<std::size_t>(count)), out(acc);
    const AttentionQuery one{query.data(), count, scores.data(), &max, &sum, out.data()};
    isa.attention_split({&one, 1, keys.data(), values.data(), count, k_dim, v_dim, v_dim, 0.3f, softcap, format});
    acc.assign(out.data(), out.data() + v_dim);
  }

  /// sum_i softmax(0.3 <q, k_i>) v_i over `depth` positions.
  std::vector<double> exact(int depth, double softcap = 0) const {
    std::vector<double> score(depth), out(v_dim, 0.0);
    double most = -HUGE_VAL, total = 0;
    for (int i = 0; i < depth; ++i) {
      for (int d = 0; d < k_dim; ++d) score[i] += double(q[d]) * k[std::size_t(i) * k_dim + d];
      score[i] *= double(0.3f);
      if (softcap != 0) score[i] = softcap * std::tanh(score[i] / softcap);
      most = std::max(most, score[i]);
    }
    for (double& s : score) total += s = std::exp(s - most);
    for (int i = 0; i < depth; ++i)
      for (int d = 0; d < v_dim; ++d) out[d] += score[i] / total * v[std::size_t(i) * v_dim + d];
    return out;
  }
};

/// The inputs of a recurrence over `tokens`, with gaps between rows.
struct Recurrence {
  int k_dim, v_dim, tokens;
  std::vector<float> q, k, v, decay, beta, state;

  Recurrence(int kd, int vd, int n)
      : k_dim(kd), v_dim(vd), tokens(n), q(random_floats(std::size_t(kd + 3) * n, 1)), k(random_floats(std::size_t(kd + 3) * n, 2)),
        v(random_floats(std::size_t(vd + 5) * n, 3)), decay(random_floats(2 * n, 4)), beta(random_floats(2 * n, 5)),
        state(random_floats(std::size_t(kd) * vd, 6)) {
    for (int t = 0; t < n; ++t) {
      float squares = 0;
      for (int i = 0; i < kd; ++i) squares += k[std::size_t(t) * (kd + 3) + i] * k[std::size_t(t) * (kd + 3) + i];
      for (int i = 0; i < kd; ++i) k[std::size_t(t) * (kd + 3) + i] /= std::sqrt(squares);
      decay[2 * t] = -std::fabs(decay[2 * t]);
      beta[2 * t] = 1 / (1 + std::exp(-beta[2 * t]));
    }
  }

  /// Tokens in steps; the state and the outputs, one after another.
  std::vector<float> run(const IsaKernels& isa, int step) const {
    Guarded<float> s(state), out(std::size_t(v_dim) * tokens);
    for (int t = 0; t < tokens; t += step) {
      const std::size_t at = t;
      const Guarded<float> qs(std::vector<float>(q.begin() + at * (k_dim + 3), q.end() - 3));
      const Guarded<float> ks(std::vector<float>(k.begin() + at * (k_dim + 3), k.end() - 3));
      const Guarded<float> vs(std::vector<float>(v.begin() + at * (v_dim + 5), v.end() - 5));
      isa.delta_net({s.data(), k_dim, v_dim, std::min(step, tokens - t), qs.data(), ks.data(), vs.data(), std::size_t(k_dim + 3),
                     std::size_t(v_dim + 5), decay.data() + 2 * at, beta.data() + 2 * at, 2, out.data() + at * v_dim, std::size_t(v_dim)});
    }
    std::vector<float> all(s.data(), s.data() + s.size());
    all.insert(all.end(), out.data(), out.data() + out.size());
    return all;
  }

  std::vector<double> exact() const {
    std::vector<double> s(state.begin(), state.end()), out;
    for (int t = 0; t < tokens; ++t)
      for (int j = 0; j < v_dim; ++j) {
        double *row = s.data() + std::size_t(j) * k_dim, seen = 0, o = 0;
        for (int i = 0; i < k_dim; ++i) {
          row[i] *= std::exp(double(decay[2 * t]));
          seen += row[i] * k[std::size_t(t) * (k_dim + 3) + i];
        }
        const double delta = beta[2 * t] * (v[std::size_t(t) * (v_dim + 5) + j] - seen);
        for (int i = 0; i < k_dim; ++i) {
          row[i] += delta * k[std::size_t(t) * (k_dim + 3) + i];
          o += row[i] * q[std::size_t(t) * (k_dim + 3) + i];
        }
        out.push_back(o);
      }
    s.insert(s.end(), out.begin(), out.end());
    return s;
  }
};

}  // namespace

TEST_CASE("attention over splits agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables())
    for (const KvFormat format : {KvFormat::f32, KvFormat::f16})
      for (const auto& [k_dim, v_dim] : {std::pair{16, 16}, {32, 48}, {64, 64}, {128, 128}, {7, 5}, {80, 300}, {1, 1}})
        for (const float spread : {1.0f, 30.0f}) {
          INFO(isa->name << " dims " << k_dim << ", " << v_dim << (format == KvFormat::f16 ? " f16" : " f32"));
          Head head(k_dim, v_dim, 37, spread);
          if (format == KvFormat::f16) head.round_to_f16();
          int at = 0;
          for (const int count : {1, 0, 16, 3, 17}) {
            head.attend(*isa, at, count, format);
            at += count;
            // scores differ by |q| |k| ulps at most, which is a relative error of the weights
            double length = 0;
            for (const float x : head.q) length += std::fabs(x);
            const std::vector<double> exact = head.exact(at);
            for (int d = 0; d < v_dim; ++d)
              REQUIRE(std::fabs(head.acc[d] / head.sum - exact[d]) <= (64 + 8 * length) * 0x1p-24 * 4);
          }
        }
}

TEST_CASE("attention with capped scores agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables())
    for (const float spread : {1.0f, 30.0f}) {
      INFO(isa->name << " spread " << spread);
      Head head(64, 48, 37, spread);
      head.attend(*isa, 0, 37, KvFormat::f32, 5.0f);
      const std::vector<double> exact = head.exact(37, 5.0);
      double length = 0;
      for (const float x : head.q) length += std::fabs(x);
      for (int d = 0; d < 48; ++d) REQUIRE(std::fabs(head.acc[d] / head.sum - exact[d]) <= (64 + 8 * length) * 0x1p-24 * 4);
    }
}

TEST_CASE("attention on f16 rows equals attention on the same numbers as floats") {
  for (const IsaKernels* isa : machine_tables())
    for (const int dim : {5, 64, 100}) {
      Head floats(dim, dim, 20);
      floats.round_to_f16();
      Head halves = floats;
      floats.attend(*isa, 0, 20, KvFormat::f32);
      halves.attend(*isa, 0, 20, KvFormat::f16);
      CHECK(floats.acc == halves.acc);
      CHECK(floats.sum == halves.sum);
      CHECK(floats.max == halves.max);
    }
}

TEST_CASE("queries that share a call get what each gets alone, to the bit") {
  for (const IsaKernels* isa : machine_tables())
    for (const KvFormat format : {KvFormat::f32, KvFormat::f16})
      for (const auto& dims : {std::pair{64, 64}, {128, 300}, {7, 5}, {33, 40}})
        for (const std::vector<int>& counts : {std::vector<int>{20, 20, 20, 20}, {1, 5, 17, 20}, {0, 3, 3, 9, 20, 20, 1, 2, 20}, {20, 0, 0, 7, 8}}) {
          const int k_dim = dims.first, v_dim = dims.second;
          INFO(isa->name << " dims " << k_dim << ", " << v_dim << ", " << counts.size() << " queries");
          const std::size_t n = counts.size(), element = format == KvFormat::f16 ? 2 : 4;
          const auto fill = [&](int dim, unsigned seed) {
            std::vector<std::uint8_t> bytes(20 * dim * element);
            const std::vector<float> x = random_floats(20 * dim, seed);
            if (format == KvFormat::f16) isa->to_f16(x.data(), reinterpret_cast<std::uint16_t*>(bytes.data()), 20 * dim);
            else std::memcpy(bytes.data(), x.data(), bytes.size());
            return bytes;
          };
          const Guarded<std::uint8_t> k(fill(k_dim, 1)), v(fill(v_dim, 2));
          const std::vector<float> q = random_floats(n * k_dim, 3), start = random_floats(n * v_dim, 4);
          struct Results {
            std::vector<float> max, sum, acc;
          };
          const auto run = [&](bool together) {
            Results r{random_floats(n, 5), std::vector<float>(n, 1.5f), start};
            std::vector<float> scores(n * 20);
            std::vector<AttentionQuery> queries;
            for (std::size_t i = 0; i < n; ++i)
              queries.push_back({&q[i * k_dim], counts[i], &scores[i * 20], &r.max[i], &r.sum[i], &r.acc[i * v_dim]});
            for (std::size_t i = 0; i < n; i += together ? n : 1)
              isa->attention_split({&queries[i], together ? static_cast<int>(n) : 1, k.data(), v.data(), 20, k_dim, v_dim, v_dim, 0.3f, 0, format});
            return r;
          };
          const Results all = run(true), each = run(false);
          REQUIRE(all.acc == each.acc);
          REQUIRE(all.max == each.max);
          REQUIRE(all.sum == each.sum);
          REQUIRE(std::equal(start.begin(), start.begin() + v_dim, all.acc.begin()) == (counts[0] == 0));
        }
}

TEST_CASE("attention of nothing changes nothing") {
  for (const IsaKernels* isa : machine_tables()) {
    Head head(16, 16, 4);
    head.attend(*isa, 0, 0, KvFormat::f32);
    CHECK(head.max == -kInfinity);
    CHECK(head.sum == 0);
    head.attend(*isa, 0, 3, KvFormat::f32);
    const Head before = head;
    head.attend(*isa, 3, 0, KvFormat::f16);
    CHECK(head.acc == before.acc);
    CHECK(head.sum == before.sum);
    CHECK(head.max == before.max);
  }
}

TEST_CASE("attention stays finite for scores beyond the range of exp, and hands NaN on") {
  for (const IsaKernels* isa : machine_tables()) {
    Head head(16, 16, 8, 1e5f);
    head.attend(*isa, 0, 4, KvFormat::f32);
    head.attend(*isa, 4, 4, KvFormat::f32);
    for (const float x : head.acc) CHECK(std::isfinite(x / head.sum));
    Head broken(16, 16, 8);
    broken.k[37] = kNan;
    broken.attend(*isa, 0, 8, KvFormat::f32);
    for (const float x : broken.acc) CHECK(std::isnan(x / broken.sum));
  }
}

TEST_CASE("the recurrence agrees with double arithmetic, however its tokens are cut") {
  for (const IsaKernels* isa : machine_tables())
    for (const auto& [k_dim, v_dim] : {std::pair{16, 16}, {32, 32}, {20, 7}, {128, 128}, {1, 1}, {33, 6}})
      for (const int tokens : {1, 5, 70}) {
        INFO(isa->name << " dims " << k_dim << ", " << v_dim << " tokens " << tokens);
        const Recurrence recurrence(k_dim, v_dim, tokens);
        const std::vector<float> whole = recurrence.run(*isa, tokens);
        const std::vector<double> exact = recurrence.exact();
        double largest = 1;
        for (const double x : exact) largest = std::max(largest, std::fabs(x));
        for (std::size_t i = 0; i < whole.size(); ++i)
          REQUIRE(std::fabs(whole[i] - exact[i]) <= (k_dim + 8) * 4 * 0x1p-24 * largest);
        for (const int step : {1, 2, 3, 33, 64}) REQUIRE(recurrence.run(*isa, step) == whole);
      }
}
