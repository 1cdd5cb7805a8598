// Owns: the reference against dense algebra. Eigen computes in double precision what the matrix forms of the papers say,
// for all tokens at once; the reference computes it token by token, in steps.
#include <Eigen/Dense>

#include <cmath>
#include <random>

#include "ops/bench.h"

using namespace strata;
using graph::Tensor;
using tests::Bench;
using tests::Values;

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kTokens = 8;
const std::vector<std::vector<int>> kSteps = {{8}, {1, 3, 4}, {1, 1, 1, 1, 1, 1, 1, 1}};

/// Numbers that float holds exactly, so that both sides start from the same.
Matrix random(int rows, int columns, unsigned seed, double low = -1, double high = 1) {
  std::mt19937 bits(seed);
  Matrix out(rows, columns);
  for (int i = 0; i < out.size(); i++)
    out.data()[i] = static_cast<float>(low + (high - low) * static_cast<double>(bits() >> 8) / (1 << 24));
  return out;
}
Values rows(const Matrix& m, int first, int count) {
  const Matrix part = m.middleRows(first, count);
  return Values(part.data(), part.data() + part.size());
}

/// Runs `bench`, whose inputs are the rows of `inputs`, in each of the cuts; every output row must be that of `expected`.
template <class Make>
void check(Make make, const std::vector<Matrix>& inputs, const Matrix& expected) {
  for (const std::vector<int>& cut : kSteps) {
    Bench bench;
    make(bench);
    bench.start(backend::KvType::f32);
    int first = 0;
    for (int count : cut) {
      std::vector<Values> step;
      for (const Matrix& m : inputs) step.push_back(rows(m, first, count));
      std::vector<std::int32_t> positions;
      for (int i = 0; i < count; i++) positions.push_back(first + i);
      const Values got = bench.step(step, positions), wanted = rows(expected, first, count);
      REQUIRE(got.size() == wanted.size());
      for (std::size_t i = 0; i < got.size(); i++) {
        INFO("step of " << count << " at " << first << ", element " << i);
        CHECK(std::fabs(got[i] - wanted[i]) <= 1e-6 * std::max(1.0f, std::fabs(wanted[i])));
      }
      first += count;
    }
  }
}

}  // namespace

TEST_CASE("oracle: linear is a matrix product", "[ops]") {
  const Matrix x = random(kTokens, 24, 1), w = random(17, 24, 2), b = random(1, 17, 3);
  const Matrix y = (x * w.transpose()).rowwise() + b.row(0);
  check(
      [&](Bench& bench) {
        const Tensor in = bench.input(1, 24);
        bench.watch(bench.g.linear(in, bench.weight({24, 17, 1, 1}, rows(w, 0, 17)), bench.weight({17, 1, 1, 1}, rows(b, 0, 1))));
      },
      {x}, y);
}

TEST_CASE("oracle: attention is a masked softmax between two matrix products", "[ops]") {
  constexpr int heads = 4, kv_heads = 2, k_dim = 6, v_dim = 3;
  constexpr double scale = 0.375;
  const Matrix q = random(kTokens, heads * k_dim, 4), k = random(kTokens, kv_heads * k_dim, 5);
  const Matrix v = random(kTokens, kv_heads * v_dim, 6);
  Matrix out(kTokens, heads * v_dim);
  for (int head = 0; head < heads; head++) {
    const int kv = head / (heads / kv_heads);
    const Matrix scores = scale * q.middleCols(head * k_dim, k_dim) * k.middleCols(kv * k_dim, k_dim).transpose();
    Matrix p = scores.array().exp().matrix().triangularView<Eigen::Lower>();
    p.array().colwise() /= p.rowwise().sum().array().eval();
    out.middleCols(head * v_dim, v_dim) = p * v.middleCols(kv * v_dim, v_dim);
  }
  check(
      [&](Bench& bench) {
        const Tensor a = bench.input(heads, k_dim), b = bench.input(kv_heads, k_dim), c = bench.input(kv_heads, v_dim);
        bench.watch(bench.g.attention(a, b, c, {static_cast<float>(scale)}));
      },
      {q, k, v}, out);
}

// With G_ij the decay from token j to token i, the state after token i is the sum over j <= i of G_ij u_j k_j^T, where
//   u_i = beta_i (v_i - sum over j < i of G_ij (k_j . k_i) u_j):
// a unit triangular system (the WY form of arXiv:2412.06464, section 3.3), and the outputs are (G * Q K^T, lower) U.
TEST_CASE("oracle: delta_net is the solution of a triangular system", "[ops]") {
  constexpr int key_heads = 2, value_heads = 4, k_dim = 5, v_dim = 3;
  const Matrix q = random(kTokens, key_heads * k_dim, 7), k = random(kTokens, key_heads * k_dim, 8, -0.7, 0.7);
  const Matrix v = random(kTokens, value_heads * v_dim, 9);
  const Matrix log_decay = random(kTokens, value_heads, 10, -1.5, 0), beta = random(kTokens, value_heads, 11, 0, 1);
  Matrix out(kTokens, value_heads * v_dim);
  for (int head = 0; head < value_heads; head++) {
    const Matrix kh = k.middleCols(head % key_heads * k_dim, k_dim), qh = q.middleCols(head % key_heads * k_dim, k_dim);
    Matrix decay = Matrix::Zero(kTokens, kTokens);
    for (int i = 0; i < kTokens; i++)
      for (int j = 0; j <= i; j++) decay(i, j) = std::exp(log_decay.col(head).segment(j + 1, i - j).sum());
    const Matrix by_beta = beta.col(head).asDiagonal() * decay.cwiseProduct(kh * kh.transpose());
    Matrix system = Matrix::Identity(kTokens, kTokens);
    system += Matrix(by_beta.triangularView<Eigen::StrictlyLower>());
    const Matrix u = system.triangularView<Eigen::UnitLower>().solve(beta.col(head).asDiagonal() * v.middleCols(head * v_dim, v_dim));
    out.middleCols(head * v_dim, v_dim) = decay.cwiseProduct(qh * kh.transpose()) * u;
  }
  check(
      [&](Bench& bench) {
        const Tensor a = bench.input(key_heads, k_dim), b = bench.input(key_heads, k_dim), c = bench.input(value_heads, v_dim);
        const Tensor d = bench.input(1, value_heads), e = bench.input(1, value_heads);
        bench.watch(bench.g.delta_net(a, b, c, d, e, graph::KeyHeads::tiled));
      },
      {q, k, v, log_decay, beta}, out);
}
