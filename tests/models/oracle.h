// Owns: plain arithmetic in double over the weights of a made model, to hold forward passes against that have no golden.
// Written from the models' descriptions alone: it shares nothing with the engine but the file's writer.
#pragma once

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gguf/writer.h"
#include "strata/tokenizer.h"

namespace strata::test {

using Vec = std::vector<double>;

/// A model of random float32 weights that is written to a file and can be read back by name.
class MadeModel {
 public:
  explicit MadeModel(unsigned seed) : random_(seed) {}

  template <class T>
  void set(const std::string& key, T value) {
    writer_.set(key, std::move(value));
  }
  /// Uniform numbers around `mean` of the given deviation.
  void add(const std::string& name, std::vector<std::uint64_t> ne, float deviation, float mean = 0) {
    std::size_t count = 1;
    for (std::uint64_t n : ne) count *= n;
    std::vector<float> values(count);
    for (float& x : values) x = mean + deviation * 1.7320508f * (static_cast<float>(random_() >> 8) * 0x1p-23f - 1.0f);
    put(name, std::move(ne), std::move(values));
  }
  void put(const std::string& name, std::vector<std::uint64_t> ne, std::vector<float> values) {
    auto data = std::make_shared<std::vector<float>>(std::move(values));
    weights_[name] = {ne, data};
    writer_.add({name, TensorType::f32, std::move(ne), [data](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
                   std::memcpy(out.data(), reinterpret_cast<const char*>(data->data()) + offset, out.size());
                   return {};
                 }});
  }
  void write(const std::string& path) const { writer_.write(path).value_or_throw(); }

  const std::vector<float>& values(const std::string& name) const { return *weights_.at(name).data; }
  /// Row i of a matrix.
  Vec row(const std::string& name, std::size_t i) const {
    const Made& w = weights_.at(name);
    return Vec(w.data->begin() + std::ptrdiff_t(i * w.ne[0]), w.data->begin() + std::ptrdiff_t((i + 1) * w.ne[0]));
  }
  /// W x; `slice` picks one matrix of a stack.
  Vec times(const std::string& name, const Vec& x, std::size_t slice = 0) const {
    const Made& w = weights_.at(name);
    Vec y(w.ne[1], 0.0);
    const float* at = w.data->data() + slice * w.ne[0] * w.ne[1];
    for (double& sum : y)
      for (std::size_t i = 0; i < w.ne[0]; ++i) sum += double(*at++) * x.at(i);
    return y;
  }

 private:
  struct Made {
    std::vector<std::uint64_t> ne;
    std::shared_ptr<std::vector<float>> data;
  };
  gguf::Writer writer_;
  std::map<std::string, Made> weights_;
  std::mt19937 random_;
};

inline double square_sum(const Vec& x) {
  double sum = 0;
  for (double v : x) sum += v * v;
  return sum;
}
inline Vec operator+(Vec a, const Vec& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b.at(i);
  return a;
}
inline Vec operator-(Vec a, const Vec& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b.at(i);
  return a;
}
inline Vec operator*(double f, Vec x) {
  for (double& v : x) v *= f;
  return x;
}
inline Vec rms(const Vec& x, const std::vector<float>* w, double eps) {
  Vec y = (1 / std::sqrt(square_sum(x) / double(x.size()) + eps)) * x;
  for (std::size_t i = 0; w && i < y.size(); ++i) y[i] *= w->at(i);
  return y;
}
inline double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
inline Vec geglu(const Vec& gate, Vec up) {
  for (std::size_t i = 0; i < up.size(); ++i) up[i] *= gelu(gate.at(i));
  return up;
}
inline Vec part(const Vec& x, std::size_t begin, std::size_t count) {
  return Vec(x.begin() + std::ptrdiff_t(begin), x.begin() + std::ptrdiff_t(begin + count));
}
/// Rotates pairs (i, i + dims / 2) of each head.
inline Vec rotate(Vec x, std::size_t dim, int position, double base, const std::vector<float>* factors = nullptr) {
  for (std::size_t head = 0; head < x.size(); head += dim)
    for (std::size_t i = 0; i < dim / 2; ++i) {
      const double theta = position * std::pow(base, -2.0 * double(i) / double(dim)) / (factors ? double(factors->at(i)) : 1.0);
      const double a = x[head + i], b = x[head + i + dim / 2];
      x[head + i] = a * std::cos(theta) - b * std::sin(theta);
      x[head + i + dim / 2] = a * std::sin(theta) + b * std::cos(theta);
    }
  return x;
}
/// An RMS norm of each head.
inline Vec norm_heads(const Vec& x, std::size_t dim, const std::vector<float>* w, double eps) {
  Vec y;
  for (std::size_t head = 0; head < x.size(); head += dim) {
    const Vec normed = rms(part(x, head, dim), w, eps);
    y.insert(y.end(), normed.begin(), normed.end());
  }
  return y;
}

/// What a layer's cache holds: keys and values by position.
struct Cache {
  std::vector<Vec> k, v;
};
/// softmax(q k^T) v over the last `window` positions up to `position` (all of them when 0), scores not scaled.
inline Vec attend(const Vec& q, const Cache& cache, std::size_t dim, std::size_t kv_heads, int position, int window) {
  const std::size_t heads = q.size() / dim;
  Vec out;
  for (std::size_t h = 0; h < heads; ++h) {
    const std::size_t at = h / (heads / kv_heads) * dim;
    const int first = window > 0 ? std::max(0, position - window + 1) : 0;
    Vec weight, sum(dim, 0.0);
    double total = 0;
    for (int p = first; p <= position; ++p) {
      double score = 0;
      for (std::size_t i = 0; i < dim; ++i) score += q[h * dim + i] * cache.k.at(std::size_t(p))[at + i];
      weight.push_back(std::exp(score));
      total += weight.back();
    }
    for (int p = first; p <= position; ++p)
      for (std::size_t i = 0; i < dim; ++i) sum[i] += weight[std::size_t(p - first)] / total * cache.v.at(std::size_t(p))[at + i];
    out.insert(out.end(), sum.begin(), sum.end());
  }
  return out;
}

}  // namespace strata::test
