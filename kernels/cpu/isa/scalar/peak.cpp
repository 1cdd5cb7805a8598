// Owns: the peak loops of scalar: what its dot products of bytes and its multiply-adds reach.
#include <cstring>

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {
namespace {

struct ScalarPeak {
  struct Ints {
    std::uint32_t v[4];
  };
  static constexpr int int8_operations = 8, int8_chains = 4;
  static Ints ints(const void* p) {
    Ints out;
    std::memcpy(out.v, p, sizeof out.v);
    return out;
  }
  static int byte(std::uint32_t word) { return static_cast<std::int8_t>(word & 255); }
  static Ints add_dot(Ints sum, Ints x) {
    for (int i = 0; i < 4; ++i) sum.v[i] += static_cast<std::uint32_t>(byte(sum.v[i]) * byte(x.v[i]));
    return sum;
  }
  static float number(Ints a) { return static_cast<float>(a.v[0]); }

  struct F {
    float v[4];
  };
  static constexpr int f32_operations = 8, f32_chains = 8;
  static F floats(const void* p) {
    F out;
    std::memcpy(out.v, p, sizeof out.v);
    return out;
  }
  static F fma(F sum, F x) {
    for (int i = 0; i < 4; ++i) sum.v[i] = sum.v[i] * x.v[i] + x.v[i];
    return sum;
  }
  static float number(F a) { return a.v[0]; }
};

}  // namespace

constinit const PeakLoops scalar_peaks = {peak_int8<ScalarPeak>, peak_f32<ScalarPeak>};

}  // namespace strata::kernels
