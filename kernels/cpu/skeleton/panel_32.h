// Owns: the product of rows of blocks of 32 with the rows in the lanes. Knows neither layout nor instruction.
// How weights lie there: panel.h, panel_256.h. What is computed: matmul_32.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/skeleton/panel.h"
#include "kernels/cpu/skeleton/panel_tokens.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {

template <class Unpack>
constexpr int zero_point_of() {
  if constexpr (Unpack::code == Code::centred) return Unpack::zero_point;
  return 0;
}

/// A vocabulary that has no panels.
template <class V, class Block, class Unpack>
struct Panel32 {
  static constexpr int rows = 0;
};

/// What a product must know of parts of 32: their scales, whether they have offsets, whether codes are signed, what they
/// are too much, and how many words' products one sum can hold.
template <int scales_, bool affine_, bool is_signed_, int excess_, int at_once_>
struct Kind32 {
  static constexpr int scales = scales_, excess = excess_, at_once = at_once_;
  static constexpr bool affine = affine_, is_signed = is_signed_;
  static constexpr int times = affine ? 1 : -excess;  ///< what sums of activations are multiplied by
  static_assert(!affine || excess == 0);
};
template <class V, class Unpack>
using KindOf = Kind32<Unpack::scales_of_16 ? 2 : 1, Unpack::code == Code::affine, Unpack::code == Code::plain && V::signed_panels,
                      V::template excess<Unpack::code, zero_point_of<Unpack>()>, V::template words_at_once<Unpack::most>>;

/// One part of each row as it is stored: a block.
template <class V, class Block, class Unpack>
struct StoredRows32 {
  using Kind = KindOf<V, Unpack>;
  using Layout = Interleaved<V, Block, Unpack>;
  static constexpr bool streams = true;
  static_assert(Unpack::parts == 1 && Kind::scales == 1);
  typename Layout::Rows rows;

  static constexpr std::size_t bytes(int parts) { return static_cast<std::size_t>(parts) * Layout::bytes; }
  StoredRows32(const void* panel, int parts, int p) : rows(Layout::at(panel, parts, p)) {}

  template <int i>
  typename V::Words word() const {
    const typename V::Words codes = Unpack::template word<i>(rows);
    if constexpr (Unpack::code == Code::plain && !Kind::is_signed) return codes ^ 0x80808080u;
    else return codes;
  }
  typename V::F d(int) const {
    if constexpr (requires { Unpack::ds(rows); }) return Unpack::ds(rows);
    else return rows.d();
  }
  typename V::F offset() const { return rows.behind_d(); }
};

template <class V, bool affine>
struct DecodedOffsets {};
template <class V>
struct DecodedOffsets<V, true> {
  float offset[V::blocks][V::panel_rows];
};
/// V::blocks parts of each row, their codes written down.
template <class V, int Scales, bool affine>
struct alignas(64) DecodedPart32 : DecodedOffsets<V, affine> {
  alignas(64) std::uint8_t codes[V::blocks][8][4 * V::panel_rows];  ///< words of four
  float d[V::blocks][Scales][V::panel_rows];                        ///< one to a part, or to each half of it
};
template <class V, class KindOfRows>
struct DecodedRows32 {
  using Kind = KindOfRows;
  using Part = DecodedPart32<V, Kind::scales, Kind::affine>;
  static constexpr bool streams = false;
  const Part& part;
  int at;

  static constexpr std::size_t bytes(int parts) { return static_cast<std::size_t>((parts + V::blocks - 1) / V::blocks) * sizeof(Part); }
  DecodedRows32(const void* panel, int, int p) : part(static_cast<const Part*>(panel)[p / V::blocks]), at(p % V::blocks) {}
  template <int i>
  typename V::Words word() const {
    return formats::load<typename V::Words>(part.codes[at][i]);
  }
  typename V::F d(int half) const { return V::load(part.d[at][half]); }
  typename V::F offset() const { return V::load(part.offset[at]); }
};

template <class V, class Source>
struct PanelProduct32 {
  using F = typename V::F;
  using Ints = typename V::Ints;
  using Kind = typename Source::Kind;

  static constexpr std::size_t bytes(int parts) { return Source::bytes(parts); }

  /// y[t][row ...] of R panels and T tokens.
  template <int R, int T, class X>
  static void run(const char* panels, int parts, X x, int ahead, float* const* y, int row) {
    F chain[8][R][T];
    add_blocks<V, Source>(panels, parts, ahead, chain, [&](const auto& w, int p, auto& sum) __attribute__((always_inline)) {
      add_part<R, T>(w, x, p, sum);
    });
    for_each_of<R, T>([&](auto r, auto t) {
      const auto of = [&](int c) __attribute__((always_inline)) { return chain[c][r][t]; };
      const F even = V::add(V::add(of(0), of(4)), V::add(of(2), of(6))), odd = V::add(V::add(of(1), of(5)), V::add(of(3), of(7)));
      V::store(y[t] + row + r * V::panel_rows, V::add(even, odd));
    });
  }

  template <int R, int T, class X>
  [[gnu::always_inline]] static void add_part(const Source (&w)[R], const X& x, int p, F (&sum)[R][T]) {
    constexpr int halves = Kind::scales, words = 8 / halves;
    // The sum of a part's activations, or of half of them, times `times`.
    const auto of_sums = [&](auto half, auto t) __attribute__((always_inline)) {
      const Ints sums = V::set_ints(static_cast<int>(x.sums(t, p, Index<X::multiplied ? half : 0>())));
      if constexpr (X::multiplied) return sums;
      constexpr unsigned low = static_cast<std::uint16_t>(halves == 1 || half == 0 ? Kind::times : 0),
                         high = static_cast<std::uint16_t>(halves == 1 || half == 1 ? Kind::times : 0);
      return V::add_pairs(V::no_ints(), V::set_ints(static_cast<int>(low | high << 16)), sums);
    };
    unroll<halves>([&](auto half) __attribute__((always_inline)) {
      Ints dot[R][T];
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        Ints start = V::no_ints();
        if constexpr (Kind::excess != 0) start = of_sums(half, t);
        unroll<R>([&](auto r) __attribute__((always_inline)) { dot[r][t] = start; });
      });
      multiply_words<V, R, T, words, Kind::at_once>(
          [&](auto r, auto i) __attribute__((always_inline)) {
            return V::template codes<Kind::is_signed>(w[r].template word<words * half + i>());
          },
          [&](auto t, auto i) __attribute__((always_inline)) { return x.word(t, p, Index<words * half + i>()); },
          [&](auto r, auto t) __attribute__((always_inline)) { return V::begin(dot[r][t]); },
          [&](auto r, auto t, auto products) __attribute__((always_inline)) { dot[r][t] = V::end(dot[r][t], products); });
      unroll<T>([&](auto t) __attribute__((always_inline)) {
        const F x_d = V::set(x.d(t, p));
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          if constexpr (Kind::affine) {
            const F of_x = V::to_float(of_sums(half, t));
            sum[r][t] = V::fma(x_d, V::add_product(V::mul(w[r].offset(), of_x), w[r].d(half), dot[r][t]), sum[r][t]);
          } else {
            sum[r][t] = V::add_product(sum[r][t], V::mul(w[r].d(half), x_d), dot[r][t]);
          }
        });
      });
    });
  }
};

/// Rows whose codes are written down for many tokens.
template <class V, class Block, class Unpack>
struct DecodedPanel32 {
  using Kind = KindOf<V, Unpack>;
  using Source = DecodedRows32<V, Kind>;
  using Part = typename Source::Part;
  using Layout = Interleaved<V, Block, Unpack>;
  static constexpr int rows = V::panel_rows, parts = Unpack::parts, at_once = V::blocks, scales = Kind::scales;
  static constexpr Code code = Unpack::code;
  static constexpr bool affine = Kind::affine;

  /// Of a panel of stored rows. The one `next` panels behind it comes nearer meanwhile.
  static void write_panel(const void* panel, int all, int next, void* to) {
    for (int p = 0; p < all; ++p) {
      const StoredRows32<V, Block, Unpack> from(panel, all, p);
      Part& out = static_cast<Part*>(to)[p / at_once];
      const int at = p % at_once;
      Layout::fetch(panel, p, static_cast<std::ptrdiff_t>(next) * all * Layout::bytes);
      unroll<8>([&](auto i) __attribute__((always_inline)) { V::store_words(out.codes[at][i], from.template word<i>()); });
      V::store(out.d[at][0], from.d(0));
      if constexpr (affine) V::store(out.offset[at], from.offset());
    }
  }

  /// Of rows, `stride` bytes apart. Those `next` panels behind them come nearer meanwhile.
  static void write_rows(const void* from, std::size_t stride, int all, int next, void* to) {
    auto* panel = static_cast<Part*>(to);
    const auto blocks = [&](int r) __attribute__((always_inline)) {
      return reinterpret_cast<const Block*>(static_cast<const char*>(from) + static_cast<std::size_t>(r) * stride);
    };
    const std::ptrdiff_t ahead = next * rows * static_cast<std::ptrdiff_t>(stride);
    int p = 0;
    if constexpr (parts == 1) {
      for (; p + at_once <= all; p += at_once, ++panel) take<at_once, 0>(blocks, p, ahead, *panel);
      if (p < all) take<1, 0>(blocks, p, ahead, *panel);
    } else {
      for (; p < all; p += parts)
        unroll<parts / at_once>([&](auto i) { take<at_once, i * at_once>(blocks, p / parts, ahead, *panel++); });
    }
  }

  /// N parts of each row from part P of block b on.
  template <int N, int P, class Rows>
  [[gnu::always_inline]] static void take(const Rows& row, int b, std::ptrdiff_t ahead, Part& part) {
    using Scale = decltype(scale_of<P>(*row(0), 0));
    alignas(64) std::uint8_t codes[rows][32 * at_once];
    Scale d[at_once][scales][rows], offset[at_once][rows];
    for (int r = 0; r < rows; ++r) {
      const Block* block = row(r) + b;
      if constexpr (P == 0)
        unroll<((parts == 1 ? N : 1) * sizeof(Block) + 63) / 64>([&](auto line) __attribute__((always_inline)) {
          V::fetch(block, ahead + 64 * line);
        });
      V::template store_bytes<code>(V::template prepare<code, zero_point_of<Unpack>()>(Unpack::template codes<N, P>(block)), codes[r]);
      unroll<N>([&](auto i) __attribute__((always_inline)) {
        const Block& of_part = parts == 1 ? block[i] : *block;
        unroll<scales>([&](auto half) { d[i][half][r] = scale_of<P + i>(of_part, half); });
        if constexpr (affine) offset[i][r] = Unpack::offset(of_part);
      });
    }
    V::template transpose<32 * at_once>(codes[0], part.codes[0][0]);
    unroll<N>([&](auto i) {
      unroll<scales>([&](auto half) { widen(d[i][half], part.d[i][half]); });
      if constexpr (affine) widen(offset[i], part.offset[i]);
    });
  }
  template <int P>
  static auto scale_of(const Block& block, int half) {
    if constexpr (scales == 2) return Unpack::scale(block, 2 * P + half);
    else return Unpack::scale(block);
  }
  static void widen(const formats::Half* from, float* to) { V::store(to, V::load(from)); }
  template <class Scale>
  static void widen(const Scale* from, float* to) {
    for (int r = 0; r < rows; ++r) to[r] = formats::to_float(from[r]);
  }
};

template <class V, class Block, class Unpack>
  requires(V::panel_rows > 0)
struct Panel32<V, Block, Unpack> {
  static constexpr int rows = V::panel_rows, block = 32;
  using Vocabulary = V;
  using Activation = ActivationQ8_32;
  static Activation view(const void* row, int k) { return view_q8_32(row, k); }

  static constexpr bool is_stored = requires { Unpack::has_words; };
  using Layout = Interleaved<V, Block, Unpack>;
  using Stored = PanelProduct32<V, StoredRows32<V, Block, Unpack>>;
  using Writer = DecodedPanel32<V, Block, Unpack>;
  using Packed = PackedBlock<block, Writer::scales, Writer::Kind::times>;
  using Decoded = PanelProduct32<V, typename Writer::Source>;
  static constexpr int together = V::panels_32, tokens = V::panel_tokens_32;
};

}  // namespace strata::kernels
