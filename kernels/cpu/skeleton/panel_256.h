// Owns: the product of rows of blocks of 256 with many tokens: rows in the lanes. Knows neither layout nor instruction.
//
// Making a panel costs about as much as its product with three tokens (Q4_K) to ten (IQ2_XS). Then a weight vector is
// read once for several tokens, whose activations are broadcast to the rows of several panels, and no sum runs across
// lanes. The activations of eight tokens are packed: word by word, each of all tokens. Where a vocabulary wants codes
// unsigned, signed ones get 128 added, and what that is too much joins the minima.
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
  static constexpr int rows = 0;
};

/// One block of eight tokens: four codes to a word, two sums of groups to a word.
template <int Groups>
struct alignas(32) Packed256 {
  std::int32_t words[64][8], sums[Groups / 2][8];
  float d[8];
};

/// Minima are subtracted under `dmin`, or joined: added to the products under `d`.
enum class Minima : unsigned char { apart, joined, none };

/// One block of each row. `min` are pairs of groups.
template <class V, int Groups>
struct alignas(64) PanelPart256 {
  std::uint8_t codes[64][4 * V::panel_rows];  ///< words of four
  std::int32_t scale[Groups][V::panel_rows];
  std::int16_t min[Groups / 2][V::panel_rows][2];
  float d[V::panel_rows], dmin[V::panel_rows];
};

/// The product of a panel, the same for all formats that agree on how many groups have a scale, where minima go, whether
/// codes are signed, and how many words' products can be added before they are widened.
template <class V, int Groups, Minima minima, bool is_signed, int at_once>
struct PanelProduct256 {
  using Part = PanelPart256<V, Groups>;
  using Packed = Packed256<Groups>;
  using F = typename V::F;
  using Ints = typename V::Ints;

  /// y[t][row ...] of R panels, `blocks` parts each, and T tokens, from `lane` of the packed ones on.
  template <int R, int T>
  static void run(const Part* panel, int blocks, const Packed* x, int lane, float* const* y, int row) {
    F chain[4][R][T];
    for (int c = 0; c < 4; ++c) {
      F sum[R][T];
      unroll<R>([&](auto r) { unroll<T>([&](auto t) { sum[r][t] = V::zero(); }); });
      for (int b = c; b < blocks; b += 4) {
        const Part* w[R];
        unroll<R>([&](auto r) { w[r] = panel + r * blocks + b; });
        add_block<R, T>(w, x[b], lane, sum);
      }
      unroll<R>([&](auto r) { unroll<T>([&](auto t) { chain[c][r][t] = sum[r][t]; }); });
    }
    unroll<R>([&](auto r) {
      unroll<T>([&](auto t) {
        const F even = V::add(chain[0][r][t], chain[2][r][t]), odd = V::add(chain[1][r][t], chain[3][r][t]);
        V::store(y[t] + row + r * V::panel_rows, V::add(even, odd));
      });
    });
  }

  template <int R, int T>
  [[gnu::always_inline]] static void add_block(const Part* const (&w)[R], const Packed& x, int lane, F (&sum)[R][T]) {
    const auto each = [](const auto& body) __attribute__((always_inline)) {
      unroll<R>([&](auto r) __attribute__((always_inline)) { unroll<T>([&](auto t) __attribute__((always_inline)) { body(r, t); }); });
    };
    Ints dot[R][T];
    each([&](auto r, auto t) __attribute__((always_inline)) { dot[r][t] = V::no_ints(); });
    if constexpr (minima != Minima::none) unroll<Groups / 2>([&](auto g) __attribute__((always_inline)) {
      Ints min[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { min[r] = V::load_ints(w[r]->min[g]); });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const Ints sums = V::set_ints(x.sums[g][lane + t]);
        unroll<R>([&](auto r) __attribute__((always_inline)) { dot[r][t] = V::add_pairs(dot[r][t], min[r], sums); });
      });
    });
    if constexpr (minima == Minima::apart) {
      each([&](auto r, auto t) __attribute__((always_inline)) {
        sum[r][t] = V::subtract_product(sum[r][t], V::mul(V::load(w[r]->dmin), V::set(x.d[lane + t])), dot[r][t]);
        dot[r][t] = V::no_ints();
      });
    }
    constexpr int words = 64 / Groups;
    for (int g = 0; g < Groups; ++g) {
      constexpr int some = words < at_once ? words : at_once;
      unroll<words / some>([&](auto n) __attribute__((always_inline)) {
        typename V::Narrow of_group[R][T];
        each([&](auto r, auto t) __attribute__((always_inline)) { of_group[r][t] = V::begin(V::no_ints()); });
        unroll<some>([&](auto i) __attribute__((always_inline)) {
          const int word = words * g + some * n + i;
          decltype(V::template load_codes<is_signed>(nullptr)) codes[R];
          unroll<R>([&](auto r) __attribute__((always_inline)) { codes[r] = V::template load_codes<is_signed>(w[r]->codes[word]); });
          unroll<T>([&](auto t) __attribute__((always_inline)) {
            const Ints q = V::set_ints(x.words[word][lane + t]);
            unroll<R>([&](auto r) __attribute__((always_inline)) { of_group[r][t] = V::add_words(of_group[r][t], codes[r], q); });
          });
        });
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          const Ints scale = V::load_ints(w[r]->scale[g]);
          unroll<T>([&](auto t) __attribute__((always_inline)) { dot[r][t] = V::add_scaled(dot[r][t], of_group[r][t], scale); });
        });
      });
    }
    each([&](auto r, auto t) __attribute__((always_inline)) {
      sum[r][t] = V::add_product(sum[r][t], V::mul(V::load(w[r]->d), V::set(x.d[lane + t])), dot[r][t]);
    });
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel256<V, Block, Unpack> {
  static constexpr int groups = requires { Unpack::scales_by_32; } ? 8 : 16;
  using Part = PanelPart256<V, groups>;
  static constexpr int rows = V::panel_rows;
  static constexpr bool has_dmin = requires(const Block& b) { Unpack::dmin(b); };
  static constexpr bool has_mins = requires(const Block& b) { Unpack::mins(b); };
  static constexpr bool is_signed = !has_mins && V::signed_panels;
  static constexpr Minima minima = has_dmin ? Minima::apart : is_signed ? Minima::none : Minima::joined;
  static constexpr int most = [] {
    if constexpr (has_mins) return Unpack::most;
    return 128;
  }();
  using Product = PanelProduct256<V, groups, minima, is_signed, V::template words_at_once<most>>;
  using Packed = typename Product::Packed;

  static constexpr std::size_t bytes(int k) { return static_cast<std::size_t>(k / 256) * sizeof(Part); }
  static constexpr std::size_t packed_bytes(int k) { return static_cast<std::size_t>(k / 256) * sizeof(Packed); }

  static void pack(const void* const (&tokens)[8], int k, void* to) {
    ActivationQ8_256 x[8];
    for (int t = 0; t < 8; ++t) x[t] = view_q8_256(tokens[t], k);
    auto* packed = static_cast<Packed*>(to);
    for (int b = 0; b < k / 256; ++b, ++packed) {
      for (int part = 0; part < 8; ++part)
        V::transpose_8([&](int t) { return x[t].q + 256 * b + 32 * part; }, packed->words[8 * part]);
      alignas(32) std::int32_t sums[8][8];
      V::transpose_8([&](int t) { return x[t].sums + 16 * b; }, sums[0]);
      for (int g = 0; g < groups / 2; ++g)
        for (int t = 0; t < 8; ++t) {
          if constexpr (groups == 16) packed->sums[g][t] = sums[g][t];
          else packed->sums[g][t] = (both(sums[2 * g][t]) & 0xffff) | both(sums[2 * g + 1][t]) << 16;
        }
      for (int t = 0; t < 8; ++t) packed->d[t] = x[t].d[b];
    }
  }

  /// The sum of a word's two.
  static std::int32_t both(std::int32_t word) { return static_cast<std::int16_t>(word) + (word >> 16); }

  /// Makes the panel of rows [row, row + rows). The next panel's rows come nearer meanwhile.
  static void fill(const MatmulCall& call, int row, void* to) {
    auto* panel = static_cast<Part*>(to);
    const int next = rows * static_cast<int>(call.weight_stride);
    for (int b = 0; b < call.k / 256; ++b) {
      alignas(64) std::uint8_t codes[4][rows][64];
      alignas(64) std::int16_t words[rows][32];  // of groups: scales, then minima
      formats::Half d[rows], dmin[rows];
      for (int r = 0; r < rows; ++r) {
        const auto& block = reinterpret_cast<const Block*>(static_cast<const char*>(call.weights) + (row + r) * call.weight_stride)[b];
        unroll<(sizeof(Block) + 63) / 64>([&](auto line) __attribute__((always_inline)) { V::prefetch(&block, next + 64 * line); });
        unroll<4>([&](auto j) { V::store_codes(Unpack::template codes<j>(block), codes[j][r]); });
        V::store_scales(Unpack::scales(block), words[r]);
        if constexpr (has_mins) V::store_mins(Unpack::mins(block), words[r] + 16);
        d[r] = Unpack::d(block);
        if constexpr (has_dmin) dmin[r] = Unpack::dmin(block);
      }
      for (int j = 0; j < 4; ++j) V::template transpose<64>(codes[j][0], panel[b].codes[16 * j]);
      fill_scales(words[0], panel[b]);
      typename V::F factor = V::load(d);
      if constexpr (requires { Unpack::d_factor; }) factor = V::mul(factor, V::set(Unpack::d_factor));
      V::store(panel[b].d, factor);
      if constexpr (has_dmin) V::store(panel[b].dmin, V::load(dmin));
    }
  }

  static void fill_scales(const std::int16_t* words, Part& part) {
    alignas(64) std::int16_t pairs[16][rows][2];
    V::template transpose<64>(reinterpret_cast<const std::uint8_t*>(words), reinterpret_cast<std::uint8_t*>(pairs));
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      const typename V::Ints scales = V::load_ints(pairs[g]);
      V::store_ints(part.scale[g * groups / 8], V::even_words(scales));
      if constexpr (groups == 16) V::store_ints(part.scale[2 * g + 1], V::odd_words(scales));
    });
    const auto min = [&](int g) __attribute__((always_inline)) {  // of a pair of groups of 16
      if constexpr (!has_mins) return V::words_times(V::load_ints(pairs[g]), -128);
      else if constexpr (!has_dmin) return V::words_times(V::load_ints(pairs[8 + g]), -Unpack::zero_point);
      else return V::load_ints(pairs[8 + g]);
    };
    if constexpr (minima != Minima::none) unroll<groups / 2>([&](auto g) __attribute__((always_inline)) {
      if constexpr (groups == 16) V::store_ints(part.min[g], min(g));
      else V::store_ints(part.min[g], V::pair_evens(min(2 * g), min(2 * g + 1)));
    });
  }

  static constexpr int together = V::template panels_256<groups>, tokens = V::template panel_tokens_256<groups>;
  /// The product of R panels of rows from `row` on and T tokens from `token` on, packed from `lane` on.
  template <int R, int T>
  static void run(const void* panels, const void* packed, int lane, const MatmulCall& call, int row, int token) {
    Product::template run<R, T>(static_cast<const Part*>(panels), call.k / 256, static_cast<const Packed*>(packed), lane,
                                call.y + token, row);
  }
};

}  // namespace strata::kernels
