// Owns: the assembly of one instruction set's table from its vocabulary. Knows no instruction.
#pragma once

#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/attention.h"
#include "kernels/cpu/skeleton/delta_net.h"
#include "kernels/cpu/skeleton/elementwise.h"
#include "kernels/cpu/skeleton/quantize.h"

namespace strata::kernels {

template <class V>
void to_f16(const float* x, std::uint16_t* out, int n) {
  auto* halves = reinterpret_cast<formats::Half*>(out);
  for (int i = 0; i < n; i += V::lanes) {
    const int count = n - i < V::lanes ? n - i : V::lanes;
    V::store(halves + i, count == V::lanes ? V::load(x + i) : V::load(x + i, count), count);
  }
}

template <class V>
constexpr IsaKernels make_table(bool (*supported)(), const FormatRows& formats) {
  using E = Elementwise<V>;
  using Q = Quantize<V>;
  return {.name = V::name,
          .supported = supported,
          .formats = formats.row,
          .quantize = {Q::f32, Q::q8_32, Q::q8_256},
          .rms_norm = E::rms_norm,
          .l2_norm = E::l2_norm,
          .match_norm = E::match_norm,
          .sparsify = E::sparsify,
          .add = E::add,
          .mul = E::mul,
          .scale = E::scale,
          .add_scaled = E::add_scaled,
          .swiglu = E::swiglu,
          .geglu = E::geglu,
          .swiglu_clamped = E::swiglu_clamped,
          .softcap = E::softcap,
          .silu = E::silu,
          .sigmoid = E::sigmoid,
          .sigmoid_mul = E::sigmoid_mul,
          .softplus_mul = E::softplus_mul,
          .softmax = E::softmax,
          .rope = E::rope,
          .to_f16 = to_f16<V>,
          .short_conv = E::short_conv,
          .attention_split = Attention<V>::split,
          .delta_net = DeltaNet<V>::run};
}

}  // namespace strata::kernels
