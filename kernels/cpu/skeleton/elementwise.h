// Owns: the kernels over rows of floats, written over a batch type: xsimd::batch or Lane. Knows no instruction.
// Every element goes through the same operations whatever its place in a batch; sums have a fixed order for each n.
#pragma once

#include <cstdint>
#include <cstring>

namespace strata::kernels {

/// V::Batch is the batch; V keeps the instantiations of translation units apart.
template <class V>
struct Elementwise {
  using B = typename V::Batch;
  static constexpr int size = static_cast<int>(B::size);

  static B load(const float* p) { return B::load_unaligned(p); }
  static B load(const float* p, int n) {  // the rest is zero
    float padded[size] = {};
    std::memcpy(padded, p, static_cast<std::size_t>(n) * sizeof(float));
    return load(padded);
  }
  static void store(float* p, const B& b) { b.store_unaligned(p); }
  static void store(float* p, const B& b, int n) {
    float padded[size];
    b.store_unaligned(padded);
    std::memcpy(p, padded, static_cast<std::size_t>(n) * sizeof(float));
  }

  /// out[i] = fn(load_at(i)...) for all i; each input is read before its element is written.
  template <class Fn, class... In>
  [[gnu::always_inline]] static void map(float* out, int n, Fn fn, const In*... in) {
    int i = 0;
    for (; i + size <= n; i += size) store(out + i, fn(load(in + i)...));
    if (const int rest = n - i; rest > 0) store(out + i, fn(load(in + i, rest)...), rest);
  }

  static float sum(const B& b) {
    float lane[size];
    b.store_unaligned(lane);
    for (int half = size / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    return lane[0];
  }
  /// sum of fn(x_i) with fn(0) = 0: four batches in turn, then lane by lane.
  template <class Fn>
  [[gnu::always_inline]] static float map_sum(const float* x, int n, Fn fn) {
    B s0(0.0f), s1(0.0f), s2(0.0f), s3(0.0f);
    int i = 0;
    for (; i + 4 * size <= n; i += 4 * size) {
      s0 = s0 + fn(load(x + i));
      s1 = s1 + fn(load(x + i + size));
      s2 = s2 + fn(load(x + i + 2 * size));
      s3 = s3 + fn(load(x + i + 3 * size));
    }
    for (; i + size <= n; i += size) s0 = s0 + fn(load(x + i));
    if (const int rest = n - i; rest > 0) s1 = s1 + fn(load(x + i, rest));
    return sum((s0 + s2) + (s1 + s3));
  }
  /// Of the elements that are numbers; -infinity where there are none.
  static float largest(const float* x, int n) {
    B most(-__builtin_inff());
    int i = 0;
    for (; i + size <= n; i += size) most = max(load(x + i), most);
    float lane[size];
    most.store_unaligned(lane);
    float out = lane[0];
    for (int j = 1; j < size; ++j) out = lane[j] > out ? lane[j] : out;
    for (; i < n; ++i) out = x[i] > out ? x[i] : out;
    return out;
  }

  static float exp_of(float x) {
    float lane[size];
    exp(B(x)).store_unaligned(lane);
    return lane[0];
  }
  /// x / (1 + e^-x); below -104 it is zero to the last bit of a float, and the bound keeps -infinity from giving NaN.
  static B silu_of(const B& x) {
    const B bounded = max(B(-104.0f), x);
    return bounded / (B(1.0f) + exp(-bounded));
  }
  static B sigmoid_of(const B& x) { return B(1.0f) / (B(1.0f) + exp(-x)); }

  static void rms_norm(const float* x, const float* weight, float eps, float* out, int n) {
    if (n <= 0) return;
    const float squares = map_sum(x, n, [](const B& v) { return v * v; });
    const B factor(1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps));
    if (weight)
      map(out, n, [&](const B& v, const B& w) { return v * factor * w; }, x, weight);
    else
      map(out, n, [&](const B& v) { return v * factor; }, x);
  }
  static void l2_norm(const float* x, float eps, float* out, int n) {
    const float length = __builtin_sqrtf(map_sum(x, n, [](const B& v) { return v * v; }));
    const B factor(1.0f / (length < eps ? eps : length));
    map(out, n, [&](const B& v) { return v * factor; }, x);
  }
  static void match_norm(const float* x, const float* y, float* out, int n) {
    const auto square = [](const B& v) { return v * v; };
    const B factor(__builtin_sqrtf(map_sum(y, n, square) / map_sum(x, n, square)));
    map(out, n, [&](const B& v) { return v * factor; }, x);
  }
  static void sparsify(const float* x, float deviations, float* out, int n) {
    const B mean(map_sum(x, n, [](const B& v) { return v; }) / static_cast<float>(n));
    map(out, n, [&](const B& v) { return v - mean; }, x);
    const float* centred = out;
    const float squares = map_sum(centred, n, [](const B& v) { return v * v; });
    const B threshold(deviations * __builtin_sqrtf(squares / static_cast<float>(n - 1)));
    map(out, n, [&](const B& v) { return max(B(0.0f), v - threshold); }, centred);
  }
  static void add(const float* a, const float* b, float* out, int n) {
    map(out, n, [](const B& x, const B& y) { return x + y; }, a, b);
  }
  static void mul(const float* a, const float* b, float* out, int n) {
    map(out, n, [](const B& x, const B& y) { return x * y; }, a, b);
  }
  static void scale(const float* x, float factor, float* out, int n) {
    map(out, n, [f = B(factor)](const B& v) { return v * f; }, x);
  }
  static void add_scaled(const float* x, float factor, float* out, int n) {
    map(out, n, [f = B(factor)](const B& o, const B& v) { return o + f * v; }, static_cast<const float*>(out), x);
  }
  static void swiglu(const float* gate, const float* up, float* out, int n) {
    map(out, n, [](const B& g, const B& u) { return silu_of(g) * u; }, gate, up);
  }
  /// gelu_tanh(x) = x/2 (1 + tanh(c)) = x sigmoid(2c), c = sqrt(2 / pi) (x + 0.044715 x^3) (arXiv:1606.08415)
  static void geglu(const float* gate, const float* up, float* out, int n) {
    map(out, n, [](const B& g, const B& u) {
      const B x = max(B(-1e6f), g);  // zero there; the bound keeps -infinity from giving NaN
      const B twice = B(1.5957691216057308f) * (x + B(0.044715f) * x * x * x);
      return x / (B(1.0f) + exp(-twice)) * u;
    }, gate, up);
  }
  static void swiglu_clamped(const float* gate, const float* up, float* out, int n) {
    const B limit(7.0f);
    map(out, n, [&](const B& g, const B& u) {
      const B x = max(B(-60.0f), min(limit, g));  // zero below; the bound keeps -infinity from giving NaN
      return x / (B(1.0f) + exp(B(-1.702f) * x)) * (max(-limit, min(limit, u)) + B(1.0f));
    }, gate, up);
  }
  static void softcap(const float* x, float cap, float* out, int n) {
    const B inverse(1.0f / cap), whole(cap);
    map(out, n, [&](const B& v) { return whole * tanh(v * inverse); }, x);
  }
  static void silu(const float* x, float* out, int n) { map(out, n, silu_of, x); }
  static void sigmoid(const float* x, float* out, int n) { map(out, n, sigmoid_of, x); }
  static void sigmoid_mul(const float* x, const float* gate, float* out, int n) {
    map(out, n, [](const B& v, const B& g) { return v * sigmoid_of(g); }, x, gate);
  }
  /// log(1 + e^y) = max(y, 0) + log1p(e^-|y|)
  static void softplus_mul(const float* x, const float* bias, const float* a, float* out, int n) {
    map(out, n, [](const B& v, const B& b, const B& factor) {
      const B y = v + b;
      return factor * (max(B(0.0f), y) + log1p(exp(-abs(y))));
    }, x, bias, a);
  }
  static void softmax(const float* x, float* out, int n) {
    if (n <= 0) return;
    const B most(largest(x, n));
    map(out, n, [&](const B& v) { return exp(v - most); }, x);
    const B factor(1.0f / map_sum(out, n, [](const B& v) { return v; }));
    map(out, n, [&](const B& v) { return v * factor; }, static_cast<const float*>(out));
  }

  static void rope(float* x, const float* cosines, const float* sines, int pairs, bool adjacent) {
    if (adjacent) {
      for (int i = 0; i < pairs; ++i) {
        const float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosines[i] - b * sines[i];
        x[2 * i + 1] = a * sines[i] + b * cosines[i];
      }
      return;
    }
    int i = 0;
    for (; i + size <= pairs; i += size) {
      const B a = load(x + i), b = load(x + pairs + i), c = load(cosines + i), s = load(sines + i);
      store(x + i, a * c - b * s);
      store(x + pairs + i, a * s + b * c);
    }
    if (const int rest = pairs - i; rest > 0) {
      const B a = load(x + i, rest), b = load(x + pairs + i, rest), c = load(cosines + i, rest), s = load(sines + i, rest);
      store(x + i, a * c - b * s, rest);
      store(x + pairs + i, a * s + b * c, rest);
    }
  }

  /// Taps are transposed for 64 channels at a time, so that they can be read as batches.
  static void short_conv(const float* const* window, const float* w, int taps, float* out, int n) {
    constexpr int channels = 64, group = 4;
    static_assert(channels % size == 0);
    for (int c = 0; c < n; c += channels) {
      const int count = n - c < channels ? n - c : channels;
      float sum[channels] = {}, tap[group][channels] = {};
      for (int first = 0; first < taps; first += group) {
        const int some = taps - first < group ? taps - first : group;
        for (int i = 0; i < count; ++i)
          for (int j = 0; j < some; ++j) tap[j][i] = w[static_cast<std::size_t>(c + i) * static_cast<std::size_t>(taps) + first + j];
        for (int i = 0; i < count; i += size) {
          B total = load(sum + i);
          for (int j = 0; j < some; ++j) {
            const float* x = window[first + j] + c + i;
            total = total + load(tap[j] + i) * (count - i >= size ? load(x) : load(x, count - i));
          }
          store(sum + i, total);
        }
      }
      std::memcpy(out + c, sum, static_cast<std::size_t>(count) * sizeof(float));
    }
  }
};

}  // namespace strata::kernels
