// Owns: the vocabulary of the skeletons in plain C++, four float lanes wide. Runs on every processor; the other
// vocabularies mean the same. There is no fused multiply-add here: a baseline processor would emulate it slowly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/formats/half.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {
namespace {

struct Scalar {
  static constexpr const char* name = "scalar";

  // Floats.
  static constexpr int lanes = 4, chains = 2, rows_float = 1, tokens_float = 4;
  struct F {
    float v[4];
  };
  template <class Fn>
  static F each(Fn fn) {
    F out;
    for (int i = 0; i < 4; ++i) out.v[i] = fn(i);
    return out;
  }
  static F zero() { return set(0); }
  static F set(float x) { return {{x, x, x, x}}; }
  static float number(float x) { return x; }
  static float number(formats::Half x) { return formats::to_float(x); }
  static float number(formats::Bfloat x) { return formats::to_float(x); }
  template <class Element>
  static F load(const Element* p) {
    return each([&](int i) { return number(p[i]); });
  }
  template <class Element>
  static F load(const Element* p, int n) {
    return each([&](int i) { return i < n ? number(p[i]) : 0.0f; });
  }
  static void store(float* p, F a) { std::memcpy(p, a.v, sizeof a.v); }
  static void store(float* p, F a, int n) { std::memcpy(p, a.v, static_cast<std::size_t>(n) * sizeof(float)); }
  static void store(formats::Half* p, F a, int n) {
    for (int i = 0; i < n; ++i) p[i] = formats::to_half(a.v[i]);
  }
  static F add(F a, F b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
  }
  static F mul(F a, F b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
  }
  static F fma(F a, F b, F c) {
    return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
  }
  static float sum(F a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

  // Integer sums, one to a float lane.
  struct Ints {
    std::int32_t v[4];
  };
  static Ints no_ints() { return {}; }
  static F floats(Ints a) {
    return each([&](int i) { return static_cast<float>(a.v[i]); });
  }
  static F add_product(F sum, F factor, Ints a) { return fma(factor, floats(a), sum); }
  static F subtract_product(F sum, F factor, Ints a) {
    return each([&](int i) { return sum.v[i] - factor.v[i] * static_cast<float>(a.v[i]); });
  }
  static F to_float(Ints a) { return floats(a); }
  static F half(formats::Half h) { return set(formats::to_float(h)); }
  // Sums of four blocks, one to a lane of a quad.
  using Quad = Scalar;
  static F make(float a, float b, float c, float d) { return {{a, b, c, d}}; }
  static F make(formats::Half a, formats::Half b, formats::Half c, formats::Half d) {
    return make(formats::to_float(a), formats::to_float(b), formats::to_float(c), formats::to_float(d));
  }
  static Ints fold(Ints a) { return a; }
  static Ints sums(Ints a, Ints b, Ints c, Ints d) {
    const auto of = [](const Ints& x) { return x.v[0] + x.v[1] + x.v[2] + x.v[3]; };
    return {{of(a), of(b), of(c), of(d)}};
  }

  // Blocks of 32.
  static constexpr int blocks = 1, tokens_32 = 4;
  struct Bytes {
    std::int8_t v[32];
  };
  using Weights = Bytes;
  template <class Fn>
  static Bytes each_byte(Fn fn) {
    Bytes out;
    for (int i = 0; i < 32; ++i) out.v[i] = static_cast<std::int8_t>(fn(i));
    return out;
  }
  template <int N>
  static Bytes bytes(const std::int8_t* p, std::size_t) {
    Bytes out;
    std::memcpy(out.v, p, 32);
    return out;
  }
  /// Elements 0 to 15 in low nibbles, 16 to 31 in high ones.
  template <int N>
  static Bytes nibbles_of_32(const std::uint8_t* p, std::size_t) {
    return each_byte([&](int i) { return p[i % 16] >> 4 * (i / 16) & 15; });
  }
  /// Element i: Set where bit i is set, else Clear.
  template <int N, int Set, int Clear>
  static Bytes choose(const std::uint8_t* p, std::size_t) {
    return each_byte([&](int i) { return p[i / 8] >> i % 8 & 1 ? Set : Clear; });
  }
  /// Of 16 elements, 0 to 7 in low nibbles, 8 to 15 in high ones.
  template <int N>
  static Bytes nibbles_of_16(const std::uint8_t* p) {
    return each_byte([&](int i) { return p[8 * (i / 16) + i % 8] >> 4 * (i / 8 % 2) & 15; });
  }
  /// Element i in two bits of byte i / 4, from the lowest on.
  template <int N>
  static Bytes crumbs_of_4(const std::uint8_t* p) {
    return each_byte([&](int i) { return p[i / 4] >> 2 * (i % 4) & 3; });
  }
  static Bytes lookup(const Bytes& nibbles, const std::int8_t table[16]) {
    return each_byte([&](int i) { return table[nibbles.v[i]]; });
  }
  static Bytes either(const Bytes& a, const Bytes& b) {
    return each_byte([&](int i) { return a.v[i] | b.v[i]; });
  }
  /// What `dot` multiplies is the weights and this much more.
  template <Code C, int Zero>
  static constexpr int excess = 0;
  template <Code C, int Zero>
  static Weights prepare(const Bytes& b) {
    return each_byte([&](int i) { return b.v[i] - Zero; });
  }
  template <Code C>
  static Ints dot(const Weights& w, const std::int8_t* q) {
    Ints out{};
    for (int lane = 0; lane < 4; ++lane)
      for (int i = 8 * lane; i < 8 * lane + 8; ++i) out.v[lane] += w.v[i] * q[i];
    return out;
  }
  /// The same with 16 elements to a half of the lanes.
  template <Code C>
  static Ints dot_by_16(const Weights& w, const std::int8_t* q) {
    return dot<C>(w, q);
  }
  /// Eight parts, one to a lane.
  struct Octet {
    struct F {
      float v[8];
    };
    struct Ints {
      std::int32_t v[8];
    };
    struct Halves {
      Ints first, second;
    };
    template <class Fn>
    static F each(Fn fn) {
      F out;
      for (int i = 0; i < 8; ++i) out.v[i] = fn(i);
      return out;
    }
    static F zero() { return {}; }
    static F load(const float* p) {
      return each([&](int i) { return p[i]; });
    }
    static F mul(const F& a, const F& b) {
      return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F fma(const F& a, const F& b, const F& c) {
      return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
    }
    static F to_float(const Ints& a) {
      return each([&](int i) { return static_cast<float>(a.v[i]); });
    }
    static F add_product(const F& sum, const F& factor, const Ints& a) { return fma(factor, to_float(a), sum); }
    static float sum(const F& a) {
      return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
    }
    template <class Scale>
    static F make(const Scale (&s)[8]) {
      return each([&](int i) { return formats::to_float(s[i]); });
    }
    /// Of activations: the sums of eight parts.
    static Ints sums_of_32(const std::int16_t* p) {
      Ints out;
      for (int i = 0; i < 8; ++i) out.v[i] = p[2 * i] + p[2 * i + 1];
      return out;
    }
  };
  static Octet::Ints eight_sums(const Ints (&d)[8]) {
    Octet::Ints out;
    for (int i = 0; i < 8; ++i) out.v[i] = d[i].v[0] + d[i].v[1] + d[i].v[2] + d[i].v[3];
    return out;
  }
  static Octet::Halves eight_sums_by_16(const Ints (&d)[8]) {
    Octet::Halves out;
    for (int i = 0; i < 8; ++i) out.first.v[i] = d[i].v[0] + d[i].v[1], out.second.v[i] = d[i].v[2] + d[i].v[3];
    return out;
  }

  // Blocks of 256: codes in chunks of 64, scales of 16-element groups.
  static constexpr int tokens_256 = 4;
  struct Codes {
    std::uint8_t v[64];
  };
  struct Scales {
    std::int16_t v[16];
  };
  using Mins = Scales;
  static Codes nibbles(const std::uint8_t* p) {
    Codes out;
    for (int i = 0; i < 32; ++i) {
      out.v[i] = p[i] & 15;
      out.v[32 + i] = static_cast<std::uint8_t>(p[i] >> 4);
    }
    return out;
  }
  /// The same, of 16 bytes and then of the next 16.
  static Codes nibbles_by_32(const std::uint8_t* p) {
    Codes out;
    for (int i = 0; i < 64; ++i) out.v[i] = p[16 * (i / 32) + i % 16] >> 4 * (i / 16 % 2) & 15;
    return out;
  }
  struct Sixteen {
    std::uint8_t v[16];
  };
  static Sixteen sixteen(const std::uint8_t* p) {
    Sixteen out;
    std::memcpy(out.v, p, 16);
    return out;
  }
  /// Four bytes, four times.
  static Sixteen four_times(const std::uint8_t* p) {
    Sixteen out;
    for (int i = 0; i < 16; ++i) out.v[i] = p[i % 4];
    return out;
  }
  static Codes join(Sixteen a, Sixteen b, Sixteen c, Sixteen d) {
    Codes out;
    for (int i = 0; i < 16; ++i) out.v[i] = a.v[i], out.v[16 + i] = b.v[i], out.v[32 + i] = c.v[i], out.v[48 + i] = d.v[i];
    return out;
  }
  /// The leading base-3 digit of v / 256 after the multiplication by a power of 3, which shifts its digits.
  static Codes trits(Codes v, const std::uint8_t powers[64]) {
    for (int i = 0; i < 64; ++i) v.v[i] = static_cast<std::uint8_t>((v.v[i] * powers[i] & 255) * 3 >> 8);
    return v;
  }
  template <int Upper>
  static Codes nibble(const std::uint8_t* p) {
    Codes out;
    for (int i = 0; i < 64; ++i) out.v[i] = p[i] >> 4 * Upper & 15;
    return out;
  }
  /// The fields at bits A and B of each of 32 bytes, moved to bit To.
  template <int To, int A, int B, int Mask>
  static Codes fields(const std::uint8_t* p) {
    Codes out;
    for (int i = 0; i < 32; ++i) {
      out.v[i] = static_cast<std::uint8_t>((p[i] >> A & Mask) << To);
      out.v[32 + i] = static_cast<std::uint8_t>((p[i] >> B & Mask) << To);
    }
    return out;
  }
  /// 64 codes, eight to a word: word(0) to word(7).
  template <class Word>
  [[gnu::always_inline]] static Codes octets(const Word& word) {
    Codes out;
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t eight = word(i);
      std::memcpy(out.v + 8 * i, &eight, sizeof eight);
    }
    return out;
  }
  /// 64 codes, four to a word: word(0) to word(15).
  template <class Word>
  [[gnu::always_inline]] static Codes quads(const Word& word) {
    Codes out;
    for (int i = 0; i < 16; ++i) {
      const std::uint32_t four = word(i);
      std::memcpy(out.v + 4 * i, &four, sizeof four);
    }
    return out;
  }
  /// 2 more for the codes of each octet whose nibble has bit 3 clear.
  static Codes raised(Codes codes, std::uint32_t nibbles) {
    for (int i = 0; i < 8; ++i) {
      std::uint64_t eight;
      std::memcpy(&eight, codes.v + 8 * i, sizeof eight);
      eight += (~nibbles >> (4 * i + 3) & 1) * 0x0202020202020202u;
      std::memcpy(codes.v + 8 * i, &eight, sizeof eight);
    }
    return codes;
  }
  struct Signed {
    std::int8_t v[64];
  };
  static Signed negated(const Codes& magnitudes, std::uint64_t signs) {
    Signed out;
    for (int i = 0; i < 8; ++i) {  // 8 magnitudes, none of them 0, in a word: no carry leaves a byte
      std::uint64_t eight;
      std::memcpy(&eight, magnitudes.v + 8 * i, sizeof eight);
      const std::uint64_t bits = (signs >> 8 * i & 255u) * 0x0101010101010101u & 0x8040201008040201u;
      const std::uint64_t one = (((bits & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu) | bits) >> 7 & 0x0101010101010101u;
      eight = (eight ^ one * 255) + one;
      std::memcpy(out.v + 8 * i, &eight, sizeof eight);
    }
    return out;
  }
  /// Codes of all signed bytes but -128.
  static Signed signed_lookup(const Codes& nibbles, const std::int8_t table[16]) {
    Signed out;
    for (int i = 0; i < 64; ++i) out.v[i] = table[nibbles.v[i]];
    return out;
  }
  static Codes either(Codes a, const Codes& b) {
    for (int i = 0; i < 64; ++i) a.v[i] |= b.v[i];
    return a;
  }
  static Scales scales_of_32(std::uint64_t bytes) {  // signed
    Scales out;
    for (int g = 0; g < 16; ++g) out.v[g] = static_cast<std::int8_t>(bytes >> 8 * (g / 2));
    return out;
  }
  static Mins mins_of_32(std::uint64_t bytes) {  // unsigned
    Mins out;
    for (int g = 0; g < 16; ++g) out.v[g] = static_cast<std::uint8_t>(bytes >> 8 * (g / 2));
    return out;
  }
  static Scales scales_of_16(std::uint64_t lower, std::uint64_t upper) {
    Scales out;
    for (int g = 0; g < 16; ++g) out.v[g] = static_cast<std::int8_t>((g < 8 ? lower : upper) >> 8 * (g % 8));
    return out;
  }
  static Mins mins_of_16(std::uint64_t lower, std::uint64_t upper) { return scales_of_16(lower, upper); }
  /// The same in words: one for each pair of groups, or one for each even and each odd group.
  static Scales scales_of_32(formats::U16x8 w) { return scales_of_even_odd(w, w); }
  static Mins mins_of_32(formats::U16x8 w) { return scales_of_32(w); }
  static Scales scales_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    Scales out;
    for (int g = 0; g < 16; ++g) out.v[g] = static_cast<std::int16_t>(g % 2 ? odd[g / 2] : even[g / 2]);
    return out;
  }
  static Mins mins_of_even_odd(formats::U16x8 even, formats::U16x8 odd) { return scales_of_even_odd(even, odd); }
  static Scales scales_of_16(const std::int8_t p[16]) {
    Scales out;
    for (int g = 0; g < 16; ++g) out.v[g] = p[g];
    return out;
  }
  static Mins mins_of_16(const std::int8_t p[16]) { return scales_of_16(p); }
  struct FourScales {
    std::int16_t v[4];
  };
  template <int J>
  static FourScales scale(const Scales& s) {
    return {{s.v[4 * J], s.v[4 * J + 1], s.v[4 * J + 2], s.v[4 * J + 3]}};
  }
  template <class C>
  static Ints add_dot(Ints sum, const C& u, const std::int8_t* q, FourScales s) {
    for (int lane = 0; lane < 4; ++lane) {
      std::int32_t dot = 0;
      for (int i = 16 * lane; i < 16 * lane + 16; ++i) dot += u.v[i] * q[i];
      sum.v[lane] += s.v[lane] * dot;
    }
    return sum;
  }
  template <int Half, class C>
  static Ints add_dots(Ints sum, const C& first, const C& second, const std::int8_t* q, const Scales& s) {
    sum = add_dot(sum, first, q, scale<2 * Half>(s));
    return add_dot(sum, second, q + 64, scale<2 * Half + 1>(s));
  }
  struct NoScales {};  ///< of codes below 4
  template <int Half>
  static Ints add_dots(Ints sum, const Codes& first, const Codes& second, const std::int8_t* q, NoScales) {
    sum = add_dot(sum, first, q, {{1, 1, 1, 1}});
    return add_dot(sum, second, q + 64, {{1, 1, 1, 1}});
  }
  static Ints dot_sums(const Mins& m, const std::int16_t* sums) {
    Ints out{};
    for (int g = 0; g < 16; ++g) out.v[g % 4] += m.v[g] * sums[g];
    return out;
  }
  template <int Factor>
  static Ints negated_times(Ints a) {
    for (auto& x : a.v) x *= -Factor;
    return a;
  }
};

}  // namespace
}  // namespace strata::kernels
