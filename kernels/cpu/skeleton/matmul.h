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
#include "kernels/cpu/skeleton/panel_tokens.h"
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

template <class Tile>
void walk(const MatmulCall& call, int row) {
  // Rows that stay in the second-level cache while all tokens pass over them.
  constexpr std::size_t cached = 128 * 1024;
  const std::size_t fit = call.weight_stride ? cached / call.weight_stride : 0;
  const int step = call.tokens <= Tile::max_tokens ? call.rows : fit > 8 ? static_cast<int>(fit < 256 ? fit & ~7u : 256) : 8;
  for (; row < call.rows; row += step)
    walk_tokens<Tile, Tile::max_tokens>(call, row, row + step < call.rows ? row + step : call.rows, 0);
}

template <class Tile>
constexpr bool has_panels = requires { requires Tile::Panel::rows > 0; };
/// Whether weights may lie in panels from the start.
template <class Tile>
constexpr bool has_stored_panels = requires { requires Tile::Panel::is_stored; };

/// From how many tokens on it pays to lay rows out in panels for one call, to pack tokens, and to write down the codes of
/// panels.
inline constexpr int kEnoughForPanels = 6, kEnoughForPacking = 5, kEnoughForCodes = 32;

/// Tokens whose activations are packed at once.
inline constexpr int kPackedTokens = 256;

/// Where a call's scratch has what.
template <class Panel>
struct PanelScratch {
  static constexpr int kElements = Panel::block;
  using Packed = typename Panel::Packed;
  char* codes;   ///< of as many panels as go together
  char* stored;  ///< a panel
  Packed* packed;
  std::size_t bytes;

  PanelScratch(void* scratch, int k) {
    const int blocks = k / kElements;
    const std::size_t of_codes = Panel::together * Panel::Decoded::bytes(blocks),
                      of_rows = Panel::is_stored ? (static_cast<std::size_t>(blocks) * Panel::Layout::bytes + 63) / 64 * 64 : 0;
    codes = static_cast<char*>(scratch);
    stored = codes + of_codes;
    packed = reinterpret_cast<Packed*>(stored + of_rows);
    bytes = of_codes + of_rows + static_cast<std::size_t>(kPackedTokens / 8 * blocks) * sizeof(Packed);
  }
};

/// A panel of stored rows with T tokens at a time, then with half as many.
template <class Panel, int T>
void multiply_stored(const char* panel, const MatmulCall& call, int row, int token) {
  TokenRows<typename Panel::Activation, Panel::block, T> x;
  for (; token + T <= call.tokens; token += T) {
    for (int t = 0; t < T; ++t) x.x[t] = Panel::view(call.x[token + t], call.k);
    const int ahead = call.in_panels && token == 0 ? kFetchAhead<T> : 0;
    Panel::Stored::template run<1, T>(panel, call.k / Panel::block, x, ahead, call.y + token, row);
  }
  if constexpr (T > 1)
    if (token < call.tokens) multiply_stored<Panel, T / 2>(panel, call, row, token);
}

/// R panels with T packed tokens at a time, then with half as many. The first token is number `begin`.
template <class Panel, class Product, int R, int T>
void multiply_packed(const char* panels, const PanelScratch<Panel>& scratch, const MatmulCall& call, int row, int begin,
                     int token, int end) {
  const int blocks = call.k / Panel::block;
  for (; token + T <= end; token += T) {
    const int i = token - begin;
    const PackedTokens<typename Panel::Packed> x{scratch.packed + static_cast<std::ptrdiff_t>(i / 8) * blocks, i % 8};
    const int ahead = call.in_panels && token == begin ? kFetchAhead<T> : 0;
    Product::template run<R, T>(panels, blocks, x, ahead, call.y + token, row);
  }
  if constexpr (T > 1)
    if (token < end) multiply_packed<Panel, Product, R, T / 2>(panels, scratch, call, row, begin, token, end);
}

/// The panel of stored rows from `row` on, made now where rows do not lie in panels.
template <class Panel>
const char* stored_panel(const MatmulCall& call, const PanelScratch<Panel>& scratch, int row) {
  const char* rows = static_cast<const char*>(call.weights) + static_cast<std::size_t>(row) * call.weight_stride;
  if (call.in_panels) return rows;
  Panel::Layout::make(rows, call.weight_stride, call.k / Panel::block, scratch.stored);
  return scratch.stored;
}

/// Returns the first row that is left.
template <class Panel>
int walk_stored(const MatmulCall& call, const PanelScratch<Panel>& scratch, bool packed) {
  int row = 0;
  for (; row + Panel::rows <= call.rows; row += Panel::rows) {
    const char* panel = stored_panel(call, scratch, row);
    if (packed) multiply_packed<Panel, typename Panel::Stored, 1, 8>(panel, scratch, call, row, 0, 0, call.tokens);
    else multiply_stored<Panel, 4>(panel, call, row, 0);
  }
  return row;
}

/// R panels at a time while there are rows enough, then fewer; returns the first row that is left.
template <class Panel, int R>
int walk_decoded(const MatmulCall& call, const PanelScratch<Panel>& scratch, int row, int begin, int end) {
  const int blocks = call.k / Panel::block;
  for (; row + R * Panel::rows <= call.rows; row += R * Panel::rows) {
    for (int r = 0; r < R; ++r) {
      const int first = row + r * Panel::rows;
      char* to = scratch.codes + static_cast<std::size_t>(r) * Panel::Decoded::bytes(blocks);
      if constexpr (Panel::is_stored) {
        Panel::Writer::write_panel(stored_panel(call, scratch, first), blocks, R, to);
      } else {
        const char* rows = static_cast<const char*>(call.weights) + static_cast<std::size_t>(first) * call.weight_stride;
        Panel::Writer::write_rows(rows, call.weight_stride, blocks, R, to);
      }
    }
    multiply_packed<Panel, typename Panel::Decoded, R, Panel::tokens>(scratch.codes, scratch, call, row, begin, begin, end);
  }
  if constexpr (R > 1) return walk_decoded<Panel, R - 1>(call, scratch, row, begin, end);
  return row;
}

/// Packs tokens [begin, end), eight at a time.
template <class Panel>
void pack(const MatmulCall& call, const PanelScratch<Panel>& scratch, int begin, int end) {
  const int blocks = call.k / Panel::block;
  typename Panel::Packed* to = scratch.packed;
  for (int token = begin; token < end; token += 8, to += blocks) {
    typename Panel::Activation x[8];  // behind the end the last one, for nobody
    for (int t = 0; t < 8; ++t) x[t] = Panel::view(call.x[token + t < end ? token + t : end - 1], call.k);
    pack_tokens<typename Panel::Vocabulary>(x, blocks, to);
  }
}

/// Rows in whole panels; returns the first row that is left.
template <class Panel>
int walk_panels(const MatmulCall& call) {
  const PanelScratch<Panel> scratch(call.scratch, call.k);
  if constexpr (Panel::is_stored)
    if (call.tokens < kEnoughForCodes || !call.scratch) {
      const bool packed = call.tokens >= kEnoughForPacking && call.scratch;
      if (packed) pack(call, scratch, 0, call.tokens);
      return walk_stored(call, scratch, packed);
    }
  int row = 0;
  for (int begin = 0; begin < call.tokens; begin += kPackedTokens) {
    const int end = begin + kPackedTokens < call.tokens ? begin + kPackedTokens : call.tokens;
    pack(call, scratch, begin, end);
    row = walk_decoded<Panel, Panel::together>(call, scratch, 0, begin, end);
  }
  return row;
}

/// Bytes of MatmulCall::scratch that a product of rows of k elements makes use of.
template <class Tile>
std::size_t scratch_bytes(int k) {
  if constexpr (has_panels<Tile>) return PanelScratch<typename Tile::Panel>(nullptr, k).bytes;
  else return 0;
}

template <class Tile>
void matmul(const MatmulCall& call) {
  int row = 0;
  if constexpr (has_panels<Tile>) {
    constexpr int enough = Tile::Panel::is_stored ? kEnoughForPanels : kEnoughForCodes / 2;
    if (call.in_panels || (call.scratch && call.tokens >= enough)) row = walk_panels<typename Tile::Panel>(call);
  }
  walk<Tile>(call, row);
}

/// See PanelFormat.
template <class Panel>
struct StoredPanels {
  static void make(const void* rows, std::size_t stride, int k, void* panel) { Panel::Layout::make(rows, stride, k / Panel::block, panel); }
  static void extract(const void* panel, int row, int k, void* out) { Panel::Layout::extract(panel, row, k / Panel::block, out); }
};
template <class Tile>
constexpr PanelFormat panel_format() {
  if constexpr (has_stored_panels<Tile>) {
    using Panel = typename Tile::Panel;
    return {Panel::rows, StoredPanels<Panel>::make, StoredPanels<Panel>::extract};
  } else {
    return {};
  }
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
                                        MatmulName<V, F>::text.chars, decode_row<F>, scratch_bytes<typename Simd<V, F>::Tile>,
                                        panel_format<typename Simd<V, F>::Tile>()}...}};
};

}  // namespace strata::kernels
