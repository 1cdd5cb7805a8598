// Owns: the type list of the formats with a decoder. A row here gives a format its dispatch, its tests and its
// benchmarks; its folder holds the rest (docs/add-a-format.md).
#pragma once

#include "kernels/formats/bf16/bf16.h"
#include "kernels/formats/f16/f16.h"
#include "kernels/formats/f32/f32.h"
#include "kernels/formats/q4_0/q4_0.h"
#include "kernels/formats/q4_k/q4_k.h"
#include "kernels/formats/q5_k/q5_k.h"
#include "kernels/formats/q6_k/q6_k.h"
#include "kernels/formats/q8_0/q8_0.h"

namespace strata::formats {

template <class... Formats>
struct TypeList {
  static constexpr int size = sizeof...(Formats);
};

using AllFormats = TypeList<F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K>;

}  // namespace strata::formats
