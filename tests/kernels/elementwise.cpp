// Owns: the tests of the kernels over rows of floats against double arithmetic: tails, in place, page ends, extremes.
#include <algorithm>
#include <functional>

#include "kernels/fixture.h"
#include "kernels/formats/half.h"

using namespace strata;
using namespace strata::test;

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
/// 2c in x / 2 (1 + tanh(c)) = x sigmoid(2c)
double gelu_argument(double x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
double gelu(double x) { return x * sigmoid(gelu_argument(x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

/// A kernel whose output i depends on elements i of its inputs alone.
struct Case {
  const char* name;
  std::function<void(const IsaKernels&, const float* a, const float* b, const float* c, float* out, int n)> run;
  std::function<double(double a, double b, double c)> exact;
  double ulps;  ///< of the result, in units of 2^-24; `slack` is what the input's own rounding inside may add
  std::function<double(double a, double b, double c)> slack = [](double, double, double) { return 0.0; };
};

std::vector<Case> cases() {
  return {
      {"add", [](auto& k, auto a, auto b, auto, auto out, int n) { k.add(a, b, out, n); },
       [](double a, double b, double) { return a + b; }, 1},
      {"mul", [](auto& k, auto a, auto b, auto, auto out, int n) { k.mul(a, b, out, n); },
       [](double a, double b, double) { return a * b; }, 1},
      {"scale", [](auto& k, auto a, auto, auto, auto out, int n) { k.scale(a, 0.3f, out, n); },
       [](double a, double, double) { return a * double(0.3f); }, 1},
      {"silu", [](auto& k, auto a, auto, auto, auto out, int n) { k.silu(a, out, n); },
       [](double a, double, double) { return silu(a); }, 8},
      {"sigmoid", [](auto& k, auto a, auto, auto, auto out, int n) { k.sigmoid(a, out, n); },
       [](double a, double, double) { return sigmoid(a); }, 8},
      {"swiglu", [](auto& k, auto a, auto b, auto, auto out, int n) { k.swiglu(a, b, out, n); },
       [](double a, double b, double) { return silu(a) * b; }, 10},
      {"geglu", [](auto& k, auto a, auto b, auto, auto out, int n) { k.geglu(a, b, out, n); },
       [](double a, double b, double) { return gelu(a) * b; }, 12,
       // six roundings of the argument, which are errors of the exponent
       [](double a, double b, double) { return 6 * std::fabs(gelu_argument(a) * gelu(a) * b); }},
      {"swiglu_clamped", [](auto& k, auto a, auto b, auto, auto out, int n) { k.swiglu_clamped(a, b, out, n); },
       [](double a, double b, double) {
         const double g = std::min(a, 7.0);
         return g * sigmoid(1.702 * g) * (std::clamp(b, -7.0, 7.0) + 1);
       },
       10,
       // the sum of up and one may cancel, and the argument's rounding is an error of the exponent
       [](double a, double b, double) {
         const double g = std::min(a, 7.0), product = g * sigmoid(1.702 * g), factor = std::clamp(b, -7.0, 7.0) + 1;
         return std::fabs(product) * (1 + 3 * std::fabs(g * factor));
       }},
      {"softcap", [](auto& k, auto a, auto, auto, auto out, int n) { k.softcap(a, 5.0f, out, n); },
       [](double a, double, double) { return 5 * std::tanh(a / 5); }, 8},
      {"sigmoid_mul", [](auto& k, auto a, auto b, auto, auto out, int n) { k.sigmoid_mul(a, b, out, n); },
       [](double a, double b, double) { return a * sigmoid(b); }, 10},
      {"softplus_mul", [](auto& k, auto a, auto b, auto c, auto out, int n) { k.softplus_mul(a, b, c, out, n); },
       [](double a, double b, double c) { return c * softplus(double(float(a) + float(b))); }, 12},
  };
}

void check_case(const IsaKernels& isa, const Case& test, const std::vector<float>& a, const std::vector<float>& b,
                const std::vector<float>& c, std::vector<float>* result = nullptr) {
  const int n = static_cast<int>(a.size());
  const Guarded<float> in_a(a), in_b(b), in_c(c);
  Guarded<float> out(a.size());
  test.run(isa, in_a.data(), in_b.data(), in_c.data(), out.data(), n);
  for (int i = 0; i < n; ++i) {
    const double exact = test.exact(a[i], b[i], c[i]);
    INFO(isa.name << " " << test.name << " n " << n << " i " << i << " of " << a[i] << ", " << b[i] << ", " << c[i]);
    // zero where e^-x leaves the floats: x e^-x is below this for x > 88
    const double allowed = (test.ulps * std::fabs(exact) + test.slack(a[i], b[i], c[i])) * 0x1p-24 + 6e-37;
    REQUIRE(std::fabs(out[i] - exact) <= allowed);
  }
  Guarded<float> in_place(a);
  test.run(isa, in_place.data(), in_b.data(), in_c.data(), in_place.data(), n);
  REQUIRE(std::memcmp(in_place.data(), out.data(), a.size() * sizeof(float)) == 0);
  if (result) result->assign(out.data(), out.data() + n);
}

}  // namespace

TEST_CASE("element-wise kernels agree with double arithmetic at every length") {
  for (const IsaKernels* isa : machine_tables())
    for (const Case& test : cases())
      for (int n = 0; n <= 67; ++n)
        check_case(*isa, test, random_floats(n, 1, 3), random_floats(n, 2), random_floats(n, 3));
}

TEST_CASE("element-wise kernels treat an element alike in the middle and at the tail") {
  const std::vector<float> a = random_floats(71, 4, 5), b = random_floats(71, 5), c = random_floats(71, 6);
  for (const IsaKernels* isa : machine_tables())
    for (const Case& test : cases()) {
      std::vector<float> whole, single;
      check_case(*isa, test, a, b, c, &whole);
      for (std::size_t i = 0; i < a.size(); ++i) {
        check_case(*isa, test, {a[i]}, {b[i]}, {c[i]}, &single);
        REQUIRE(same(single[0], whole[i]));
      }
    }
}

TEST_CASE("activations are accurate over their whole range and stable beyond it") {
  std::vector<float> x;
  for (float v = -100; v <= 100; v += 0.0371f) x.push_back(v);
  for (const float v : {1e-30f, 1e-10f, 1e-4f, 1e4f, 1e10f, 1e30f}) x.insert(x.end(), {v, -v});
  const std::vector<float> ones(x.size(), 1.0f), zeros(x.size(), 0.0f);
  for (const IsaKernels* isa : machine_tables()) {
    for (const Case& test : cases())
      if (std::string(test.name) != "softplus_mul") {
        // gelu's cube leaves the range of floats first
        std::vector<float> in = x;
        if (std::string(test.name) == "geglu")
          for (float& v : in) v = std::clamp(v, -1e6f, 1e6f);
        if (std::string(test.name) == "sigmoid_mul")
          check_case(*isa, test, ones, in, zeros);
        else
          check_case(*isa, test, in, ones, zeros);
      } else {
        check_case(*isa, test, x, zeros, ones);
      }
    const float in[] = {kInfinity, -kInfinity, kNan, -0.0f};
    float out[4];
    INFO(isa->name);
    const auto expect = [&](float up, float down) {
      CHECK(out[0] == up);
      CHECK(out[1] == down);
      CHECK(std::isnan(out[2]));
    };
    const float one[] = {1, 1, 1, 1}, zero[] = {0, 0, 0, 0};
    isa->silu(in, out, 4), expect(kInfinity, 0);
    isa->sigmoid(in, out, 4), expect(1, 0);
    isa->swiglu(in, one, out, 4), expect(kInfinity, 0);
    isa->geglu(in, one, out, 4), expect(kInfinity, 0);
    isa->swiglu_clamped(in, one, out, 4);
    CHECK(out[0] == Approx(14.0).epsilon(1e-4));
    CHECK(std::fabs(out[1]) < 1e-37f);
    CHECK(std::isnan(out[2]));
    isa->softcap(in, 5.0f, out, 4), expect(5, -5);
    isa->softplus_mul(in, zero, one, out, 4), expect(kInfinity, 0);
  }
}

TEST_CASE("add_scaled adds to its output") {
  for (const IsaKernels* isa : machine_tables())
    for (const int n : {0, 1, 7, 16, 33, 100}) {
      const std::vector<float> x = random_floats(n, 1), before = random_floats(n, 2);
      const Guarded<float> in(x);
      Guarded<float> out(before);
      isa->add_scaled(in.data(), 0.7f, out.data(), n);
      for (int i = 0; i < n; ++i) REQUIRE(out[i] == Approx(double(before[i]) + double(0.7f) * x[i]).epsilon(1e-6).margin(1e-7));
    }
}

TEST_CASE("norms agree with double arithmetic at every length") {
  for (const IsaKernels* isa : machine_tables())
    for (const int n : {1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 65, 127, 128, 1000, 4096}) {
      INFO(isa->name << " n " << n);
      const std::vector<float> x = random_floats(n, 1, 2), weight = random_floats(n, 2);
      const Guarded<float> in(x), w(weight);
      Guarded<float> out(x.size());
      double squares = 0;
      for (const float v : x) squares += double(v) * v;
      const double tolerance = (n / 8 + 16) * 0x1p-24;  // the sum's additions in one lane, then a few roundings
      const double rms = 1 / std::sqrt(squares / n + 1e-5), length = 1 / std::sqrt(squares);
      isa->rms_norm(in.data(), w.data(), 1e-5f, out.data(), n);
      for (int i = 0; i < n; ++i) REQUIRE(std::fabs(out[i] - x[i] * rms * weight[i]) <= tolerance * std::fabs(x[i] * rms * weight[i]));
      isa->rms_norm(in.data(), nullptr, 1e-5f, out.data(), n);
      for (int i = 0; i < n; ++i) REQUIRE(std::fabs(out[i] - x[i] * rms) <= tolerance * std::fabs(x[i] * rms));
      Guarded<float> in_place(x);
      isa->rms_norm(in_place.data(), nullptr, 1e-5f, in_place.data(), n);
      REQUIRE(std::memcmp(in_place.data(), out.data(), x.size() * sizeof(float)) == 0);
      isa->l2_norm(in.data(), 1e-6f, out.data(), n);
      for (int i = 0; i < n; ++i) REQUIRE(std::fabs(out[i] - x[i] * length) <= tolerance * std::fabs(x[i] * length));
    }
}

TEST_CASE("norms of zeros are zeros and NaN spreads") {
  for (const IsaKernels* isa : machine_tables()) {
    std::vector<float> x(37, 0.0f), out(37, 1.0f);
    isa->rms_norm(x.data(), nullptr, 1e-6f, out.data(), 37);
    CHECK(out == x);
    isa->l2_norm(x.data(), 1e-6f, out.data(), 37);
    CHECK(out == x);
    x[36] = kNan;
    for (const bool l2 : {false, true}) {
      l2 ? isa->l2_norm(x.data(), 1e-6f, out.data(), 37) : isa->rms_norm(x.data(), nullptr, 1e-6f, out.data(), 37);
      for (const float y : out) CHECK(std::isnan(y));
    }
  }
}

TEST_CASE("softmax agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables()) {
    for (const int n : {1, 2, 5, 8, 16, 17, 63, 100, 1000})
      for (const float scale : {1.0f, 20.0f, 1e4f}) {
        INFO(isa->name << " n " << n << " scale " << scale);
        const std::vector<float> x = random_floats(n, 1, scale);
        const Guarded<float> in(x);
        Guarded<float> out(x.size());
        isa->softmax(in.data(), out.data(), n);
        const double most = *std::max_element(x.begin(), x.end());
        double sum = 0, total = 0;
        for (const float v : x) sum += std::exp(v - most);
        for (int i = 0; i < n; ++i) {
          const double exact = std::exp(x[i] - most) / sum;
          total += out[i];
          // the difference's rounding is one of its ulps, and a difference of e in an exponent a factor of 1 + e
          REQUIRE(std::fabs(out[i] - exact) <= (n / 8 + 16 + std::fabs(x[i] - most)) * 0x1p-24 * exact + 1e-37);
        }
        CHECK(total == Approx(1).epsilon(1e-5));
        Guarded<float> in_place(x);
        isa->softmax(in_place.data(), in_place.data(), n);
        REQUIRE(std::memcmp(in_place.data(), out.data(), x.size() * sizeof(float)) == 0);
      }
    float masked[] = {-kInfinity, 1, -kInfinity, 1, -kInfinity}, out[5];
    isa->softmax(masked, out, 5);
    CHECK(std::vector<float>(out, out + 5) == std::vector<float>{0, 0.5f, 0, 0.5f, 0});
    isa->softmax(masked, out, 0);
    masked[2] = kNan;
    isa->softmax(masked, out, 5);
    CHECK(std::isnan(out[1]));
  }
}

TEST_CASE("rope rotates its pairs") {
  for (const IsaKernels* isa : machine_tables())
    for (const int pairs : {0, 1, 3, 4, 8, 12, 16, 17, 32, 64})
      for (const bool adjacent : {false, true}) {
        INFO(isa->name << " pairs " << pairs << " adjacent " << adjacent);
        const std::vector<float> x = random_floats(2 * pairs, 1), angle = random_floats(pairs, 2, 10);
        Guarded<float> head(x), cosines(angle), sines(angle);
        for (int i = 0; i < pairs; ++i) {
          cosines[i] = std::cos(angle[i]);
          sines[i] = std::sin(angle[i]);
        }
        isa->rope(head.data(), cosines.data(), sines.data(), pairs, adjacent);
        for (int i = 0; i < pairs; ++i) {
          const int first = adjacent ? 2 * i : i, second = adjacent ? 2 * i + 1 : i + pairs;
          const double a = x[first], b = x[second], c = cosines[i], s = sines[i];
          REQUIRE(head[first] == Approx(a * c - b * s).epsilon(0).margin(3e-7 * (std::fabs(a) + std::fabs(b))));
          REQUIRE(head[second] == Approx(a * s + b * c).epsilon(0).margin(3e-7 * (std::fabs(a) + std::fabs(b))));
        }
      }
}

TEST_CASE("half floats are written as the scalar conversion writes them") {
  std::mt19937 random(6);
  for (const IsaKernels* isa : machine_tables())
    for (int n = 0; n < 40; ++n) {
      std::vector<float> x(n);
      for (float& v : x) v = n % 2 ? formats::float_from_bits(random()) : formats::float_from_bits(0x33000000u + random() % 0x15000000u);
      const Guarded<float> in(x);
      Guarded<std::uint16_t> out(x.size());
      isa->to_f16(in.data(), out.data(), n);
      for (int i = 0; i < n; ++i) {
        INFO(isa->name << " " << x[i]);
        if (std::isnan(x[i]))
          REQUIRE((out[i] & 0x7fff) > 0x7c00);
        else
          REQUIRE(out[i] == formats::to_half(x[i]).bits);
      }
    }
}

TEST_CASE("short_conv agrees with double arithmetic") {
  for (const IsaKernels* isa : machine_tables())
    for (const int taps : {1, 3, 4})
      for (const int n : {0, 1, 7, 16, 30, 65}) {
        INFO(isa->name << " taps " << taps << " n " << n);
        const Guarded<float> w(random_floats(std::size_t(n) * taps, 1));
        std::vector<std::unique_ptr<Guarded<float>>> rows;
        std::vector<const float*> window;
        for (int j = 0; j < taps; ++j) {
          rows.push_back(std::make_unique<Guarded<float>>(random_floats(n, 2 + j)));
          window.push_back(rows.back()->data());
        }
        Guarded<float> out(static_cast<std::size_t>(n));
        isa->short_conv(window.data(), w.data(), taps, out.data(), n);
        for (int c = 0; c < n; ++c) {
          double sum = 0, magnitude = 0;
          for (int j = 0; j < taps; ++j) {
            sum += double(w[c * taps + j]) * window[j][c];
            magnitude += std::fabs(double(w[c * taps + j]) * window[j][c]);
          }
          REQUIRE(std::fabs(out[c] - sum) <= 0x1p-24 * 2 * taps * magnitude);
        }
      }
}
