// Owns: loops unrolled at compile time, so that arrays of vector registers stay in registers.
#pragma once

#include <utility>

namespace strata::kernels {

template <int I>
struct Index {
  static constexpr int value = I;
  constexpr operator int() const { return I; }
};

/// body(Index<0>{}), ..., body(Index<N - 1>{}).
template <int N, class Body>
[[gnu::always_inline]] inline void unroll(Body&& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) { (body(Index<I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace strata::kernels
