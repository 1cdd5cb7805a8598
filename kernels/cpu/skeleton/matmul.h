// Owns: the walk over rows and tokens that every weight format shares, and the table of formats of one vocabulary.
// Knows neither a format's layout (formats/*/simd.h) nor an instruction (isa/*/vocabulary.h).
//
// A Tile computes R rows x T tokens. Its float operations for one (row, token) are the same for every R and T, so the
// walk below may choose them freely. V, the vocabulary, is a type in an unnamed namespace: what is instantiated with
// it is local to its translation unit and cannot replace a function compiled for another processor.
#pragma once

#include "kernels/cpu/isa/tables.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/matmul_32.h"
#include "kernels/cpu/skeleton/matmul_256.h"
#include "kernels/cpu/skeleton/matmul_float.h"
#include "kernels/formats/simd.h"

namespace strata::kernels {

template <class Tile, int T>
void walk_rows(const MatmulCall& call, int begin, int end, int token) {
  constexpr int R = Tile::template rows<T>;
  int row = begin;
  for (; row + R <= end; row += R) Tile::template run<R, T>(call, row, token);
  if constexpr (R > 1)
    for (; row < end; ++row) Tile::template run<1, T>(call, row, token);
}

template <class Tile, int T>
int walk_tokens(const MatmulCall& call, int begin, int end, int token) {
  for (; token + T <= call.tokens; token += T) walk_rows<Tile, T>(call, begin, end, token);
  if constexpr (T > 1) return walk_tokens<Tile, T / 2>(call, begin, end, token);
  return token;
}

template <class Panel, int T>
int walk_panel(const MatmulCall& call, int row, int token) {
  for (; token + T <= call.tokens; token += T) Panel::template run<T>(call, row, token);
  if constexpr (T > 1) return walk_panel<Panel, T / 2>(call, row, token);
  return token;
}

/// Rows in whole panels where there are tokens enough to pay for them; returns the first row that is left.
template <class Tile>
int walk_panels(const MatmulCall& call) {
  constexpr int enough = 16;
  int row = 0;
  if constexpr (requires { Tile::Panel::rows; })
    if (call.scratch && call.tokens >= enough)
      for (; row + Tile::Panel::rows <= call.rows; row += Tile::Panel::rows) {
        Tile::Panel::fill(call, row);
        walk_panel<typename Tile::Panel, Tile::Panel::max_tokens>(call, row, 0);
      }
  return row;
}

/// Bytes of MatmulCall::scratch that a product of rows of k elements makes use of.
template <class Tile>
std::size_t scratch_bytes(int k) {
  if constexpr (requires { Tile::Panel::bytes(k); }) return Tile::Panel::bytes(k);
  else return 0;
}

template <class Tile>
void matmul(const MatmulCall& call) {
  // Rows that stay in the second-level cache while all tokens pass over them.
  constexpr std::size_t cached = 128 * 1024;
  const std::size_t fit = call.weight_stride ? cached / call.weight_stride : 0;
  const int step = call.tokens <= Tile::max_tokens ? call.rows : fit > 8 ? static_cast<int>(fit < 256 ? fit & ~7u : 256) : 8;
  for (int row = walk_panels<Tile>(call); row < call.rows; row += step)
    walk_tokens<Tile, Tile::max_tokens>(call, row, row + step < call.rows ? row + step : call.rows, 0);
}

/// "matmul_q4_k__avx512"
template <class V, class F>
struct MatmulName {
  static constexpr int length(const char* s) { return *s ? 1 + length(s + 1) : 0; }
  struct Text {
    char chars[7 + length(F::name) + 2 + length(V::name) + 1];
  };
  static constexpr Text make() {
    Text joined{};
    char* to = joined.chars;
    for (const char* part : {"matmul_", F::name, "__", V::name})
      while (*part) *to++ = *part++;
    return joined;
  }
  static constexpr Text text = make();
};

template <class V, class List>
struct FormatTable;
template <class V, template <class...> class List, class... F>
struct FormatTable<V, List<F...>> {
  template <class G>
  static void decode_row(const void* row, float* out, int k) {
    G::decode(row, out, k);
  }
  static constexpr FormatRows rows = {{{F::type, Simd<V, F>::Tile::activation, matmul<typename Simd<V, F>::Tile>,
                                        MatmulName<V, F>::text.chars, decode_row<F>, scratch_bytes<typename Simd<V, F>::Tile>}...}};
};

}  // namespace strata::kernels
