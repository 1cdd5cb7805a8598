// Owns: the product of rows of blocks of 256 with many tokens: rows in the lanes. Knows neither layout nor instruction.
//
// Making a panel costs about as much as its product with three tokens (Q4_K) to ten (IQ2_XS). Then every weight vector is
// read once for V::panel_tokens tokens, whose activations are broadcast, and no sum runs across lanes. All codes are
// unsigned here: signed ones get 128 added, and what that is too much joins the minima.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

/// A vocabulary that has no panels.
template <class V, class Block, class Unpack>
struct Panel256 {
  static constexpr std::size_t bytes(int) { return 0; }
};

/// One block of each row. `min` are pairs of groups; they are subtracted under `dmin`, or added under `d` where `joined`.
template <class V, int Groups>
struct alignas(64) PanelPart256 {
  std::uint8_t codes[64][4 * V::panel_rows];  ///< words of four
  std::int32_t scale[Groups][V::panel_rows];
  std::int16_t min[8][V::panel_rows][2];
  float d[V::panel_rows], dmin[V::panel_rows];
};

/// The product of a panel, the same for all formats that agree on how many groups have a scale and where minima go.
template <class V, int Groups, bool joined>
struct PanelProduct256 {
  using Part = PanelPart256<V, Groups>;
  using F = typename V::F;
  using Ints = typename V::Ints;

  /// y[t][0 .. panel_rows) for T tokens.
  template <int T>
  static void run(const Part* panel, int blocks, const void* const* inputs, float* const* y, int row) {
    ActivationQ8_256 x[T];
    F chain[4][T];
    unroll<T>([&](auto t) { x[t] = view_q8_256(inputs[t], 256 * blocks); });
    for (int c = 0; c < 4; ++c) {
      F sum[T];
      unroll<T>([&](auto t) { sum[t] = V::zero(); });
      for (int b = c; b < blocks; b += 4) add_block<T>(panel[b], b, x, sum);
      unroll<T>([&](auto t) { chain[c][t] = sum[t]; });
    }
    unroll<T>([&](auto t) {
      V::store(y[t] + row, V::add(V::add(chain[0][t], chain[2][t]), V::add(chain[1][t], chain[3][t])));
    });
  }

  template <int T>
  [[gnu::always_inline]] static void add_block(const Part& w, int b, const ActivationQ8_256* x, F* sum) {
    Ints dot[T];
    unroll<T>([&](auto t) __attribute__((always_inline)) { dot[t] = V::no_ints(); });
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      const Ints min = V::load_ints(w.min[g]);
      unroll<T>([&](auto t) __attribute__((always_inline)) { dot[t] = V::add_pairs(dot[t], min, x[t].sums + 16 * b + 2 * g); });
    });
    if constexpr (!joined) {
      const F dmin = V::load(w.dmin);
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        sum[t] = V::subtract_product(sum[t], V::mul(dmin, V::set(x[t].d[b])), dot[t]);
        dot[t] = V::no_ints();
      });
    }
    constexpr int words = 64 / Groups;
    for (int g = 0; g < Groups; ++g) {
      Ints of_group[T];
      unroll<T>([&](auto t) __attribute__((always_inline)) { of_group[t] = V::no_ints(); });
      unroll<words>([&](auto i) __attribute__((always_inline)) {
        const Ints codes = V::load_ints(w.codes[words * g + i]);
        unroll<T>([&](auto t) __attribute__((always_inline)) {
          of_group[t] = V::add_words(of_group[t], codes, x[t].q + 256 * b + 4 * (words * g + i));
        });
      });
      const Ints scale = V::load_ints(w.scale[g]);
      unroll<T>([&](auto t) __attribute__((always_inline)) { dot[t] = V::add_scaled(dot[t], of_group[t], scale); });
    }
    const F d = V::load(w.d);
    unroll<T>([&](auto t) __attribute__((always_inline)) {
      sum[t] = V::add_product(sum[t], V::mul(d, V::set(x[t].d[b])), dot[t]);
    });
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel256<V, Block, Unpack> {
  static constexpr int groups = requires { Unpack::scales_by_32; } ? 8 : 16;
  using Part = PanelPart256<V, groups>;
  static constexpr int rows = V::panel_rows, max_tokens = V::panel_tokens;
  static constexpr bool has_dmin = requires(const Block& b) { Unpack::dmin(b); };
  static constexpr bool has_mins = requires(const Block& b) { Unpack::mins(b); };
  using Product = PanelProduct256<V, groups, !has_dmin>;

  static constexpr std::size_t bytes(int k) { return static_cast<std::size_t>(k / 256) * sizeof(Part); }

  /// Makes the panel of rows [row, row + rows) in call.scratch. The next panel's rows come nearer meanwhile.
  static void fill(const MatmulCall& call, int row) {
    auto* panel = static_cast<Part*>(call.scratch);
    const int next = rows * static_cast<int>(call.weight_stride);
    for (int b = 0; b < call.k / 256; ++b) {
      alignas(64) std::uint8_t codes[4][rows][64];
      alignas(64) std::int16_t words[rows][32];  // of groups: scales, then minima
      formats::Half d[rows], dmin[rows];
      for (int r = 0; r < rows; ++r) {
        const auto& block = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride)[b];
        unroll<(sizeof(Block) + 63) / 64>([&](auto line) { V::prefetch(&block, next + 64 * line); });
        unroll<4>([&](auto j) { V::store_codes(Unpack::template codes<j>(block), codes[j][r]); });
        V::store_scales(Unpack::scales(block), words[r]);
        if constexpr (has_mins) V::store_mins(Unpack::mins(block), words[r] + 16);
        d[r] = Unpack::d(block);
        if constexpr (has_dmin) dmin[r] = Unpack::dmin(block);
      }
      for (int j = 0; j < 4; ++j) V::transpose(codes[j][0], panel[b].codes[16 * j]);
      fill_scales(words[0], panel[b]);
      typename V::F factor = V::load(d);
      if constexpr (requires { Unpack::d_factor; }) factor = V::mul(factor, V::set(Unpack::d_factor));
      V::store(panel[b].d, factor);
      if constexpr (has_dmin) V::store(panel[b].dmin, V::load(dmin));
    }
  }

  static void fill_scales(const std::int16_t* words, Part& part) {
    alignas(64) std::int16_t pairs[16][rows][2];
    V::transpose(reinterpret_cast<const std::uint8_t*>(words), reinterpret_cast<std::uint8_t*>(pairs));
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      const typename V::Ints scales = V::load_ints(pairs[g]);
      V::store_ints(part.scale[g * groups / 8], V::even_words(scales));
      if constexpr (groups == 16) V::store_ints(part.scale[2 * g + 1], V::odd_words(scales));
      if constexpr (!has_mins) V::store_ints(part.min[g], V::words_times(scales, -128));
      else if constexpr (!has_dmin) V::store_ints(part.min[g], V::words_times(V::load_ints(pairs[8 + g]), -Unpack::zero_point));
      else V::store_ints(part.min[g], V::load_ints(pairs[8 + g]));
    });
  }

  template <int T>
  static void run(const MatmulCall& call, int row, int token) {
    Product::template run<T>(static_cast<const Part*>(call.scratch), call.k / 256, call.x + token, call.y + token, row);
  }
};

}  // namespace strata::kernels
