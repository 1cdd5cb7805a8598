// Owns: the list of the formats with a decoder: one include for each. A row here gives a format its dispatch on every
// instruction set, its tests and its benchmarks; its folder holds the rest (docs/add-a-format.md).
#pragma once

#include <cstddef>
#include <iterator>
#include <utility>

#include "kernels/formats/format_of.h"

#include "kernels/formats/bf16/simd.h"
#include "kernels/formats/f16/simd.h"
#include "kernels/formats/f32/simd.h"
#include "kernels/formats/iq1_m/simd.h"
#include "kernels/formats/iq1_s/simd.h"
#include "kernels/formats/iq2_s/simd.h"
#include "kernels/formats/iq2_xs/simd.h"
#include "kernels/formats/iq2_xxs/simd.h"
#include "kernels/formats/iq3_s/simd.h"
#include "kernels/formats/iq3_xxs/simd.h"
#include "kernels/formats/iq4_nl/simd.h"
#include "kernels/formats/iq4_xs/simd.h"
#include "kernels/formats/mxfp4/simd.h"
#include "kernels/formats/nvfp4/simd.h"
#include "kernels/formats/q1_0/simd.h"
#include "kernels/formats/q2_0/simd.h"
#include "kernels/formats/q2_k/simd.h"
#include "kernels/formats/q3_k/simd.h"
#include "kernels/formats/q4_0/simd.h"
#include "kernels/formats/q4_1/simd.h"
#include "kernels/formats/q4_k/simd.h"
#include "kernels/formats/q5_0/simd.h"
#include "kernels/formats/q5_1/simd.h"
#include "kernels/formats/q5_k/simd.h"
#include "kernels/formats/q6_k/simd.h"
#include "kernels/formats/q8_0/simd.h"
#include "kernels/formats/tq1_0/simd.h"
#include "kernels/formats/tq2_0/simd.h"

namespace strata::formats {

/// The formats of several lists in one.
template <class... Lists>
struct Joined;
template <class... A>
struct Joined<TypeList<A...>> {
  using List = TypeList<A...>;
};
template <class... A, class... B, class... Rest>
struct Joined<TypeList<A...>, TypeList<B...>, Rest...> : Joined<TypeList<A..., B...>, Rest...> {};

template <std::size_t... I>
auto included(std::index_sequence<I...>) -> typename Joined<typename FormatOf<kTensorTypes[I].type>::List...>::List;

/// The formats included above, in the order of the table of types.
using AllFormats = decltype(included(std::make_index_sequence<std::size(kTensorTypes)>()));

}  // namespace strata::formats
