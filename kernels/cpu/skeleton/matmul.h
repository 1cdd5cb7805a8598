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

/// Tokens that are packed at once, and from how many on panels pay.
inline constexpr int kPackedTokens = 256, kEnoughTokens = 16;

/// R panels with T tokens at a time, then with half as many.
template <class Panel, int R, int T>
void multiply_panels(const void* panels, const char* packed, const MatmulCall& call, int row, int begin, int token, int end) {
  for (; token + T <= end; token += T) {
    const int i = token - begin;
    Panel::template run<R, T>(panels, packed + static_cast<std::size_t>(i / 8) * Panel::packed_bytes(call.k), i % 8, call, row, token);
  }
  if constexpr (T > 1)
    if (token < end) multiply_panels<Panel, R, T / 2>(panels, packed, call, row, begin, token, end);
}

/// R panels at a time while there are rows enough, then fewer; returns the first row that is left.
template <class Panel, int R>
int walk_rows_of_panels(const MatmulCall& call, int row, char* panels, const char* packed, int begin, int end) {
  for (; row + R * Panel::rows <= call.rows; row += R * Panel::rows) {
    for (int r = 0; r < R; ++r) Panel::fill(call, row + r * Panel::rows, panels + static_cast<std::size_t>(r) * Panel::bytes(call.k));
    multiply_panels<Panel, R, Panel::tokens>(panels, packed, call, row, begin, begin, end);
  }
  if constexpr (R > 1) return walk_rows_of_panels<Panel, R - 1>(call, row, panels, packed, begin, end);
  return row;
}

/// Rows in whole panels where there are tokens enough to pay for them; returns the first row that is left.
template <class Tile>
int walk_panels(const MatmulCall& call) {
  using Panel = typename Tile::Panel;
  if (!call.scratch || call.tokens < kEnoughTokens || call.rows < Panel::rows) return 0;
  auto* panels = static_cast<char*>(call.scratch);
  char* packed = panels + Panel::together * Panel::bytes(call.k);
  int row = 0;
  for (int begin = 0; begin < call.tokens; begin += kPackedTokens) {
    const int end = begin + kPackedTokens < call.tokens ? begin + kPackedTokens : call.tokens;
    for (int token = begin; token < end; token += 8) {
      const void* eight[8];  // behind the end the last one, for nobody
      for (int t = 0; t < 8; ++t) eight[t] = call.x[token + t < end ? token + t : end - 1];
      Panel::pack(eight, call.k, packed + static_cast<std::size_t>((token - begin) / 8) * Panel::packed_bytes(call.k));
    }
    row = walk_rows_of_panels<Panel, Panel::together>(call, 0, panels, packed, begin, end);
  }
  return row;
}

template <class Tile>
constexpr bool has_panels = requires { requires Tile::Panel::rows > 0; };

/// Bytes of MatmulCall::scratch that a product of rows of k elements makes use of.
template <class Tile>
std::size_t scratch_bytes(int k) {
  if constexpr (has_panels<Tile>) return Tile::Panel::together * Tile::Panel::bytes(k) + kPackedTokens / 8 * Tile::Panel::packed_bytes(k);
  else return 0;
}

template <class Tile>
void matmul(const MatmulCall& call) {
  // Rows that stay in the second-level cache while all tokens pass over them.
  constexpr std::size_t cached = 128 * 1024;
  const std::size_t fit = call.weight_stride ? cached / call.weight_stride : 0;
  const int step = call.tokens <= Tile::max_tokens ? call.rows : fit > 8 ? static_cast<int>(fit < 256 ? fit & ~7u : 256) : 8;
  int row = 0;
  if constexpr (has_panels<Tile>) row = walk_panels<Tile>(call);
  for (; row < call.rows; row += step)
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
