// Owns: the product of rows of blocks of 256 with the rows in the lanes. Knows neither layout nor instruction.
//
// A weight vector is read once for several tokens, whose activations are broadcast to all rows, and no sum runs across
// lanes. The weights are read as they are stored, row beside row (panel.h), or, where a format's codes must be looked up
// row by row, from codes that were written down for many tokens. Where a vocabulary wants codes unsigned, signed ones get
// 128 added, and what that is too much joins the minima.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/panel.h"
#include "kernels/cpu/skeleton/panel_tokens.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/half.h"

namespace strata::kernels {

/// A vocabulary that has no panels.
template <class V, class Block, class Unpack>
struct Panel256 {
  static constexpr int rows = 0;
};

/// Minima are subtracted under `dmin`, or joined: added to the products under `d`.
enum class Minima : unsigned char { apart, joined, none };

/// What a format says of its blocks of 256.
template <class V, class Block, class Unpack>
struct Traits256 {
  static constexpr int groups = requires { Unpack::scales_by_32; } ? 8 : 16;
  static constexpr bool has_dmin = requires(const Block& b) { Unpack::dmin(b); };
  static constexpr bool has_mins = requires(const Block& b) { Unpack::mins(b); };
  static constexpr bool is_signed = !has_mins && V::signed_panels;
  static constexpr Minima minima = has_dmin ? Minima::apart : is_signed ? Minima::none : Minima::joined;
  static constexpr int most = [] {
    if constexpr (has_mins) return Unpack::most;
    return 128;
  }();
  /// Whether codes of stored rows are written down less their zero point: where products take signed ones as they are.
  static constexpr bool centres = requires(typename V::Words w) { Unpack::has_words; Unpack::zero_point; V::template less<1>(w); };
  static constexpr Minima written_minima = centres ? Minima::none : minima;
  static constexpr int at_once = V::template words_at_once<most>;  ///< words whose products one sum can hold
  /// What is joined, times the scale.
  static constexpr int minimum = [] {
    if constexpr (has_dmin) return 0;
    else if constexpr (has_mins) return -Unpack::zero_point;
    return -128;
  }();
};

/// One block of each row as it is stored.
template <class V, class Block, class Unpack>
struct StoredRows256 {
  using Traits = Traits256<V, Block, Unpack>;
  static constexpr int groups = Traits::groups, at_once = Traits::at_once;
  static constexpr bool is_signed = Traits::is_signed;
  static constexpr Minima kind = Traits::minima;
  static constexpr bool streams = true;
  using Layout = Interleaved<V, Block, Unpack>;
  using Ints = typename V::Ints;

  typename Layout::Rows rows;
  decltype(Unpack::scale_words(rows)) scales;

  static constexpr std::size_t bytes(int blocks) { return static_cast<std::size_t>(blocks) * Layout::bytes; }
  StoredRows256(const void* panel, int blocks, int b) : rows(Layout::at(panel, blocks, b)), scales(Unpack::scale_words(rows)) {}

  template <class I>
  typename V::Words word(I i) const {
    const typename V::Words codes = Unpack::template word<i / 16, i % 16>(rows);
    if constexpr (!Traits::has_mins && !Traits::is_signed) return codes ^ 0x80808080u;
    else return codes;
  }
  template <class G>
  Ints scale(G g) const {
    return V::template scale_of<g % 4>(scales.bytes[g / 4]);
  }
  /// Those that belong to pair h of `pairs` of sums of activations: of groups, or of a group's halves.
  template <int h, int pairs>
  Ints min_pair() const {
    constexpr int first = h * groups / pairs, second = groups > pairs ? first + 1 : first;
    if constexpr (Traits::has_dmin) return V::template words_of<first % 4, second % 4>(Unpack::min_words(rows).bytes[first / 4]);
    else return V::words_times(V::template words_of<first % 4, second % 4>(scales.bytes[first / 4]), Traits::minimum);
  }
  typename V::F d() const { return rows.d(); }
  typename V::F dmin() const { return rows.behind_d(); }
};

/// One block of each row, its codes written down; `min` are pairs of groups.
template <class V, int Groups>
struct alignas(64) DecodedBlock256 {
  std::uint8_t codes[64][4 * V::panel_rows];  ///< words of four
  std::int32_t scale[Groups][V::panel_rows];
  std::int16_t min[Groups / 2][V::panel_rows][2];
  float d[V::panel_rows], dmin[V::panel_rows];
};
template <class V, int Groups, Minima minima, bool signed_codes, int some>
struct DecodedRows256 {
  using Block = DecodedBlock256<V, Groups>;
  using Ints = typename V::Ints;
  static constexpr int groups = Groups, at_once = some;
  static constexpr bool is_signed = signed_codes;
  static constexpr Minima kind = minima;
  static constexpr bool streams = false;
  const Block& block;

  static constexpr std::size_t bytes(int blocks) { return static_cast<std::size_t>(blocks) * sizeof(Block); }
  DecodedRows256(const void* panel, int, int b) : block(static_cast<const Block*>(panel)[b]) {}
  typename V::Words word(int i) const { return formats::load<typename V::Words>(block.codes[i]); }
  Ints scale(int g) const { return V::load_ints(block.scale[g]); }
  template <int h, int pairs>
  Ints min_pair() const {
    static_assert(pairs == groups / 2);
    return V::load_ints(block.min[h]);
  }
  typename V::F d() const { return V::load(block.d); }
  typename V::F dmin() const { return V::load(block.dmin); }
};

/// Word i of group g, known at compile time where g is.
template <int words, int g, int i>
constexpr Index<words * g + i> number(Index<g>, Index<i>) {
  return {};
}
template <int words, int i>
[[gnu::always_inline]] inline int number(int g, Index<i>) {
  return words * g + i;
}

template <class V, class Source>
struct PanelProduct256 {
  using F = typename V::F;
  using Ints = typename V::Ints;

  static constexpr std::size_t bytes(int blocks) { return Source::bytes(blocks); }

  /// y[t][row ...] of R panels and T tokens.
  template <int R, int T, class X>
  static void run(const char* panels, int blocks, X x, int ahead, float* const* y, int row) {
    F chain[4][R][T];
    add_blocks<V, Source>(panels, blocks, ahead, chain, [&](const auto& w, int b, auto& sum) __attribute__((always_inline)) {
      add_block<R, T>(w, x, b, sum);
    });
    for_each_of<R, T>([&](auto r, auto t) {
      const F even = V::add(chain[0][r][t], chain[2][r][t]), odd = V::add(chain[1][r][t], chain[3][r][t]);
      V::store(y[t] + row + r * V::panel_rows, V::add(even, odd));
    });
  }

  template <int R, int T, class X>
  [[gnu::always_inline]] static void add_block(const Source (&w)[R], const X& x, int b, F (&sum)[R][T]) {
    Ints dot[R][T];
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) { dot[r][t] = V::no_ints(); });
    if constexpr (Source::kind != Minima::none) unroll<X::pairs>([&](auto h) __attribute__((always_inline)) {
      Ints min[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { min[r] = w[r].template min_pair<h, X::pairs>(); });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const auto sums = V::set_ints(x.sums(t, b, h));
        unroll<R>([&](auto r) __attribute__((always_inline)) { dot[r][t] = V::add_pairs(dot[r][t], min[r], sums); });
      });
    });
    if constexpr (Source::kind == Minima::apart)
      for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) {
        sum[r][t] = V::subtract_product(sum[r][t], V::mul(w[r].dmin(), V::set(x.d(t, b))), dot[r][t]);
        dot[r][t] = V::no_ints();
      });
    constexpr int words = 64 / Source::groups;
    const auto add_group = [&](auto g) __attribute__((always_inline)) {
      multiply_words<V, R, T, words, Source::at_once>(
          [&](auto r, auto i) __attribute__((always_inline)) {
            return V::template codes<Source::is_signed>(w[r].word(number<words>(g, i)));
          },
          [&](auto t, auto i) __attribute__((always_inline)) { return x.word(t, b, number<words>(g, i)); },
          [](auto, auto) __attribute__((always_inline)) { return V::begin(V::no_ints()); },
          [&](auto r, auto t, auto products) __attribute__((always_inline)) {
            dot[r][t] = V::add_scaled(dot[r][t], products, w[r].scale(g));
          });
    };
    if constexpr (Source::streams) {
      unroll<Source::groups>(add_group);
    } else {
      for (int g = 0; g < Source::groups; ++g) add_group(g);
    }
    for_each_of<R, T>([&](auto r, auto t) __attribute__((always_inline)) {
      sum[r][t] = V::add_product(sum[r][t], V::mul(w[r].d(), V::set(x.d(t, b))), dot[r][t]);
    });
  }
};

/// Rows whose codes are written down for many tokens.
template <class V, class Block, class Unpack>
struct DecodedPanel256 {
  using Traits = Traits256<V, Block, Unpack>;
  static constexpr int rows = V::panel_rows, groups = Traits::groups;
  using Source = DecodedRows256<V, groups, Traits::written_minima, Traits::is_signed, Traits::at_once>;
  using Out = typename Source::Block;
  using Layout = Interleaved<V, Block, Unpack>;

  static typename V::Words centred(typename V::Words codes) {
    if constexpr (Traits::centres) return V::template less<Unpack::zero_point>(codes);
    else return codes;
  }

  /// Of a panel of stored rows. The one `next` panels behind it comes nearer meanwhile.
  static void write_panel(const void* panel, int blocks, int next, void* to) {
    for (int b = 0; b < blocks; ++b) {
      const StoredRows256<V, Block, Unpack> from(panel, blocks, b);
      Out& out = static_cast<Out*>(to)[b];
      Layout::fetch(panel, b, static_cast<std::ptrdiff_t>(next) * blocks * Layout::bytes);
      unroll<64>([&](auto i) __attribute__((always_inline)) { V::store_words(out.codes[i], centred(from.word(i))); });
      unroll<groups>([&](auto g) __attribute__((always_inline)) { V::store_ints(out.scale[g], from.scale(g)); });
      if constexpr (Source::kind != Minima::none)
        unroll<groups / 2>([&](auto h) __attribute__((always_inline)) {
          V::store_ints(out.min[h], from.template min_pair<h, groups / 2>());
        });
      V::store(out.d, from.d());
      if constexpr (Traits::has_dmin) V::store(out.dmin, from.dmin());
    }
  }

  /// Of rows, `stride` bytes apart. Those `next` panels behind them come nearer meanwhile.
  static void write_rows(const void* from, std::size_t stride, int blocks, int next, void* to) {
    auto* panel = static_cast<Out*>(to);
    for (int b = 0; b < blocks; ++b) {
      alignas(64) std::uint8_t codes[4][rows][64];
      alignas(64) std::int16_t words[rows][32];  // of groups: scales, then minima
      formats::Half d[rows], dmin[rows];
      for (int r = 0; r < rows; ++r) {
        const auto& block = reinterpret_cast<const Block*>(static_cast<const char*>(from) + static_cast<std::size_t>(r) * stride)[b];
        unroll<(sizeof(Block) + 63) / 64>([&](auto line) __attribute__((always_inline)) {
          V::fetch(&block, next * rows * static_cast<std::ptrdiff_t>(stride) + 64 * line);
        });
        unroll<4>([&](auto j) { V::store_codes(Unpack::template codes<j>(block), codes[j][r]); });
        V::store_scales(Unpack::scales(block), words[r]);
        if constexpr (Traits::has_mins) V::store_mins(Unpack::mins(block), words[r] + 16);
        d[r] = Unpack::d(block);
        if constexpr (Traits::has_dmin) dmin[r] = Unpack::dmin(block);
      }
      for (int j = 0; j < 4; ++j) V::template transpose<64>(codes[j][0], panel[b].codes[16 * j]);
      write_scales(words[0], panel[b]);
      typename V::F factor = V::load(d);
      if constexpr (requires { Unpack::d_factor; }) factor = V::mul(factor, V::set(Unpack::d_factor));
      V::store(panel[b].d, factor);
      if constexpr (Traits::has_dmin) V::store(panel[b].dmin, V::load(dmin));
    }
  }

  static void write_scales(const std::int16_t* words, Out& out) {
    alignas(64) std::int16_t pairs[16][rows][2];
    V::template transpose<64>(reinterpret_cast<const std::uint8_t*>(words), reinterpret_cast<std::uint8_t*>(pairs));
    unroll<8>([&](auto g) __attribute__((always_inline)) {
      const typename V::Ints scales = V::load_pairs(pairs[g]);
      V::store_ints(out.scale[g * groups / 8], V::even_words(scales));
      if constexpr (groups == 16) V::store_ints(out.scale[2 * g + 1], V::odd_words(scales));
    });
    const auto min = [&](int g) __attribute__((always_inline)) {  // of a pair of groups of 16
      const typename V::Ints pair = V::load_pairs(pairs[Traits::has_mins ? 8 + g : g]);
      if constexpr (Traits::has_dmin) return pair;
      else return V::words_times(pair, Traits::minimum);
    };
    if constexpr (Source::kind != Minima::none)
      unroll<groups / 2>([&](auto g) __attribute__((always_inline)) {
        if constexpr (groups == 16) V::store_ints(out.min[g], min(g));
        else V::store_ints(out.min[g], V::pair_evens(min(2 * g), min(2 * g + 1)));
      });
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel256<V, Block, Unpack> {
  static constexpr int rows = V::panel_rows, block = 256;
  using Vocabulary = V;
  using Activation = ActivationQ8_256;
  static Activation view(const void* row, int k) { return view_q8_256(row, k); }

  static constexpr bool is_stored = requires { Unpack::has_words; };
  using Layout = Interleaved<V, Block, Unpack>;
  using Stored = PanelProduct256<V, StoredRows256<V, Block, Unpack>>;
  using Writer = DecodedPanel256<V, Block, Unpack>;
  using Packed = PackedBlock<block, Writer::groups / 2>;
  using Decoded = PanelProduct256<V, typename Writer::Source>;
  static constexpr int together = V::panels_256, tokens = V::panel_tokens_256;
};

}  // namespace strata::kernels
