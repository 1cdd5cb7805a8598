// Owns: the tests of the DeltaNet recurrence: double arithmetic, cuts, page ends.
#include "kernels/fixture.h"

using namespace strata;
using namespace strata::test;

namespace {

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
