// Owns: the peak loops of neon: what its dot products of bytes and its multiply-adds reach.
#include <arm_neon.h>

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/skeleton/peak.h"

namespace strata::kernels {
namespace {

struct NeonPeak {
  using Ints = int32x4_t;
  static constexpr int int8_operations = 32, int8_chains = 16;
  static Ints ints(const void* p) { return vld1q_s32(static_cast<const std::int32_t*>(p)); }
  static Ints add_dot(Ints sum, Ints x) { return vdotq_s32(sum, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(x)); }
  static float number(Ints a) { return static_cast<float>(vgetq_lane_s32(a, 0)); }

  using F = float32x4_t;
  static constexpr int f32_operations = 8, f32_chains = 16;
  static F floats(const void* p) { return vld1q_f32(static_cast<const float*>(p)); }
  static F fma(F sum, F x) { return vfmaq_f32(x, sum, x); }
  static float number(F a) { return vgetq_lane_f32(a, 0); }
};

}  // namespace

constinit const PeakLoops neon_peaks = {peak_int8<NeonPeak>, peak_f32<NeonPeak>};

}  // namespace strata::kernels
