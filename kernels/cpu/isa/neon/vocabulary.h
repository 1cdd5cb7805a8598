// Owns: the vocabulary of the skeletons for 64-bit Arm with the dot product instructions. Means the same as
// scalar/vocabulary.h. Partial loads and stores touch nothing outside the operand.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/formats/half.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {
namespace {

struct Neon {
  static constexpr const char* name = "neon";

  // Floats.
  static constexpr int lanes = 4, chains = 4, rows_float = 1, tokens_float = 4;
  using F = float32x4_t;
  static F zero() { return vdupq_n_f32(0); }
  static F set(float x) { return vdupq_n_f32(x); }
  static F load(const float* p) { return vld1q_f32(p); }
  static F load(const formats::Half* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(p))));
  }
  static F load(const formats::Bfloat* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(p)), 16));
  }
  template <class Element>
  static F load(const Element* p, int n) {
    Element padded[4] = {};
    for (int i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
  }
  static void store(float* p, F a) { vst1q_f32(p, a); }
  static void store(float* p, F a, int n) {
    float padded[4];
    vst1q_f32(padded, a);
    for (int i = 0; i < n; ++i) p[i] = padded[i];
  }
  static void store(formats::Half* p, F a, int n) {
    std::uint16_t padded[4];
    vst1_u16(padded, vreinterpret_u16_f16(vcvt_f16_f32(a)));
    for (int i = 0; i < n; ++i) p[i].bits = padded[i];
  }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static float sum(F a) {
    const float32x2_t x = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(x, 0) + vget_lane_f32(x, 1);
  }
  /// Into the second-level cache. (GCC drops calls of what only prefetches, so it must be inlined.)
  [[gnu::always_inline]] static void fetch(const void* p, std::ptrdiff_t bytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes)), 0, 2);
  }

  // Integer sums, one to a float lane.
  using Ints = int32x4_t;
  static Ints no_ints() { return vdupq_n_s32(0); }
  static F add_product(F sum, F factor, Ints a) { return vfmaq_f32(sum, factor, vcvtq_f32_s32(a)); }
  static F subtract_product(F sum, F factor, Ints a) { return vfmsq_f32(sum, factor, vcvtq_f32_s32(a)); }
  static F to_float(Ints a) { return vcvtq_f32_s32(a); }
  static F half(formats::Half h) { return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h.bits))); }
  // Sums of four blocks, one to a lane of a quad.
  using Quad = Neon;
  static F make(float a, float b, float c, float d) { return F{a, b, c, d}; }
  static F make(formats::Half a, formats::Half b, formats::Half c, formats::Half d) {
    return vcvt_f32_f16(vreinterpret_f16_u16(uint16x4_t{a.bits, b.bits, c.bits, d.bits}));
  }
  static Ints fold(Ints a) { return a; }
  static Ints sums(Ints a, Ints b, Ints c, Ints d) { return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)); }

  // Blocks of 32.
  static constexpr int blocks = 1, tokens_32 = 4;
  struct Bytes {
    int8x16_t lower, upper;
  };
  using Weights = Bytes;
  static Bytes as_signed(uint8x16_t lower, uint8x16_t upper) { return {vreinterpretq_s8_u8(lower), vreinterpretq_s8_u8(upper)}; }
  template <int N>
  static Bytes bytes(const std::int8_t* p, std::size_t) {
    return {vld1q_s8(p), vld1q_s8(p + 16)};
  }
  static uint8x16_t low4(uint8x16_t v) { return vandq_u8(v, vdupq_n_u8(15)); }
  template <int N>
  static Bytes nibbles_of_32(const std::uint8_t* p, std::size_t) {
    const uint8x16_t v = vld1q_u8(p);
    return as_signed(low4(v), vshrq_n_u8(v, 4));
  }
  template <int N, int Set, int Clear>
  static Bytes choose(const std::uint8_t* p, std::size_t) {
    std::uint32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    const uint8x16_t v = vreinterpretq_u8_u32(vdupq_n_u32(bits)), bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t first = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1)), second = vcombine_u8(vdup_n_u8(2), vdup_n_u8(3));
    const int8x16_t set = vdupq_n_s8(Set), clear = vdupq_n_s8(Clear);
    return {vbslq_s8(vtstq_u8(vqtbl1q_u8(v, first), bit), set, clear), vbslq_s8(vtstq_u8(vqtbl1q_u8(v, second), bit), set, clear)};
  }
  template <int N>
  static Bytes nibbles_of_16(const std::uint8_t* p) {
    const uint8x16_t v = vld1q_u8(p), low = low4(v), high = vshrq_n_u8(v, 4);
    const uint64x2_t a = vreinterpretq_u64_u8(low), b = vreinterpretq_u64_u8(high);
    return as_signed(vreinterpretq_u8_u64(vzip1q_u64(a, b)), vreinterpretq_u8_u64(vzip2q_u64(a, b)));
  }
  static uint8x16_t crumbs(uint16x4_t bytes) {
    uint32x4_t v = vmovl_u16(bytes);
    v = vorrq_u32(v, vshlq_n_u32(v, 12));  // bits 4 and on to bit 16
    v = vorrq_u32(v, vshlq_n_u32(v, 6));   // in either half, bits 2 and on to bit 8
    return vandq_u8(vreinterpretq_u8_u32(v), vdupq_n_u8(3));
  }
  template <int N>
  static Bytes crumbs_of_4(const std::uint8_t* p) {
    const uint16x8_t v = vmovl_u8(vld1_u8(p));
    return as_signed(crumbs(vget_low_u16(v)), crumbs(vget_high_u16(v)));
  }
  static Bytes lookup(Bytes nibbles, const std::int8_t* table) {
    const int8x16_t t = vld1q_s8(table);
    return {vqtbl1q_s8(t, vreinterpretq_u8_s8(nibbles.lower)), vqtbl1q_s8(t, vreinterpretq_u8_s8(nibbles.upper))};
  }
  static Bytes either(Bytes a, Bytes b) { return {vorrq_s8(a.lower, b.lower), vorrq_s8(a.upper, b.upper)}; }
  template <Code C, int Zero>
  static constexpr int excess = Zero;
  template <Code C, int Zero>
  static Weights prepare(Bytes b) {
    return b;
  }
  template <Code C>
  static Ints dot(Weights w, const std::int8_t* q) {
    return vdotq_s32(vdotq_s32(no_ints(), w.lower, vld1q_s8(q)), w.upper, vld1q_s8(q + 16));
  }
  template <Code C>
  static Ints dot_by_16(Weights w, const std::int8_t* q) {  // a half of the lanes to each
    return vpaddq_s32(vdotq_s32(no_ints(), w.lower, vld1q_s8(q)), vdotq_s32(no_ints(), w.upper, vld1q_s8(q + 16)));
  }
  /// Eight parts, one to a lane of two quads.
  struct Octet {
    struct F {
      float32x4_t lower, upper;
    };
    struct Ints {
      int32x4_t lower, upper;
    };
    struct Halves {
      Ints first, second;
    };
    static F zero() { return {vdupq_n_f32(0), vdupq_n_f32(0)}; }
    static F load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
    static F mul(F a, F b) { return {vmulq_f32(a.lower, b.lower), vmulq_f32(a.upper, b.upper)}; }
    static F fma(F a, F b, F c) { return {vfmaq_f32(c.lower, a.lower, b.lower), vfmaq_f32(c.upper, a.upper, b.upper)}; }
    static F to_float(Ints a) { return {vcvtq_f32_s32(a.lower), vcvtq_f32_s32(a.upper)}; }
    static F add_product(F sum, F factor, Ints a) { return fma(factor, to_float(a), sum); }
    static float sum(F a) { return Neon::sum(vaddq_f32(a.lower, a.upper)); }
    static F make(const formats::Half (&s)[8]) {
      return {Neon::make(s[0], s[1], s[2], s[3]), Neon::make(s[4], s[5], s[6], s[7])};
    }
    template <class Scale>
    static F make(const Scale (&s)[8]) {
      const auto at = [&](int i) { return formats::to_float(s[i]); };
      return {float32x4_t{at(0), at(1), at(2), at(3)}, float32x4_t{at(4), at(5), at(6), at(7)}};
    }
    static Ints sums_of_32(const std::int16_t* p) { return {vpaddlq_s16(vld1q_s16(p)), vpaddlq_s16(vld1q_s16(p + 8))}; }
    static Halves sums_of_16(const std::int16_t* p) {
      const int16x8_t a = vld1q_s16(p), b = vld1q_s16(p + 8), first = vuzp1q_s16(a, b), second = vuzp2q_s16(a, b);
      return {{vmovl_s16(vget_low_s16(first)), vmovl_high_s16(first)}, {vmovl_s16(vget_low_s16(second)), vmovl_high_s16(second)}};
    }
    /// a - factor * b
    template <int factor>
    static Ints less_times(Ints a, Ints b) {
      return {vmlsq_n_s32(a.lower, b.lower, factor), vmlsq_n_s32(a.upper, b.upper, factor)};
    }
  };
  static Octet::Ints eight_sums(const Ints (&d)[8]) {
    return {sums(d[0], d[1], d[2], d[3]), sums(d[4], d[5], d[6], d[7])};
  }
  static Octet::Halves eight_sums_by_16(const Ints (&d)[8]) {
    const Ints a = vpaddq_s32(d[0], d[1]), b = vpaddq_s32(d[2], d[3]), c = vpaddq_s32(d[4], d[5]), e = vpaddq_s32(d[6], d[7]);
    return {{vuzp1q_s32(a, b), vuzp1q_s32(c, e)}, {vuzp2q_s32(a, b), vuzp2q_s32(c, e)}};
  }

  // Blocks of 256: codes in chunks of 64, one register to a group of 16.
  static constexpr int tokens_256 = 4;
  struct Codes {
    uint8x16_t v[4];
  };
  struct Scales {
    int16x8_t lower, upper;
  };
  using Mins = Scales;
  static Codes nibbles(const std::uint8_t* p) {
    const uint8x16_t a = vld1q_u8(p), b = vld1q_u8(p + 16);
    return {{low4(a), low4(b), vshrq_n_u8(a, 4), vshrq_n_u8(b, 4)}};
  }
  static Codes nibbles_by_32(const std::uint8_t* p) {
    const uint8x16_t a = vld1q_u8(p), b = vld1q_u8(p + 16);
    return {{low4(a), vshrq_n_u8(a, 4), low4(b), vshrq_n_u8(b, 4)}};
  }
  using Sixteen = uint8x16_t;
  static Sixteen sixteen(const std::uint8_t* p) { return vld1q_u8(p); }
  static Sixteen four_times(const std::uint8_t* p) {
    std::uint32_t word;
    std::memcpy(&word, p, sizeof word);
    return vreinterpretq_u8_u32(vdupq_n_u32(word));
  }
  static Codes join(Sixteen a, Sixteen b, Sixteen c, Sixteen d) { return {{a, b, c, d}}; }
  static Codes trits(Codes v, const std::uint8_t* powers) {
    for (int i = 0; i < 4; ++i) {  // 3 v / 256 is 1 from 86 and 2 from 171 on; comparisons give 0 or -1
      const uint8x16_t shifted = vmulq_u8(v.v[i], vld1q_u8(powers + 16 * i));
      v.v[i] = negative(vaddq_u8(vcgeq_u8(shifted, vdupq_n_u8(86)), vcgeq_u8(shifted, vdupq_n_u8(171))));
    }
    return v;
  }
  static uint8x16_t negative(uint8x16_t v) { return vreinterpretq_u8_s8(vnegq_s8(vreinterpretq_s8_u8(v))); }
  template <int Upper>
  static Codes nibble(const std::uint8_t* p) {
    Codes out;
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t v = vld1q_u8(p + 16 * i);
      out.v[i] = Upper ? vshrq_n_u8(v, 4) : low4(v);
    }
    return out;
  }
  template <int To, int At, int Mask>
  static uint8x16_t field(uint8x16_t v) {
    return vandq_u8(vshlq_u8(v, vdupq_n_s8(To - At)), vdupq_n_u8(Mask << To));
  }
  template <int To, int A, int B, int Mask>
  static Codes fields(const std::uint8_t* p) {
    const uint8x16_t a = vld1q_u8(p), b = vld1q_u8(p + 16);
    return {{field<To, A, Mask>(a), field<To, A, Mask>(b), field<To, B, Mask>(a), field<To, B, Mask>(b)}};
  }
  template <class Word>
  [[gnu::always_inline]] static Codes octets(const Word& word) {
    Codes out;
    for (int i = 0; i < 4; ++i) out.v[i] = vcombine_u8(vcreate_u8(word(2 * i)), vcreate_u8(word(2 * i + 1)));
    return out;
  }
  template <class Word>
  [[gnu::always_inline]] static Codes quads(const Word& word) {
    Codes out;
    for (int i = 0; i < 16; i += 4) {
      const uint32x4_t four = {word(i), word(i + 1), word(i + 2), word(i + 3)};
      out.v[i / 4] = vreinterpretq_u8_u32(four);
    }
    return out;
  }
  static Codes raised(Codes codes, std::uint32_t nibbles) {
    const uint8x16_t bits = vcombine_u8(vdup_n_u8(0x08), vdup_n_u8(0x80));
    for (int i = 0; i < 4; ++i) {
      const uint8x16_t set = vtstq_u8(vdupq_n_u8(static_cast<std::uint8_t>(nibbles >> 8 * i)), bits);
      codes.v[i] = vaddq_u8(codes.v[i], vbicq_u8(vdupq_n_u8(2), set));
    }
    return codes;
  }
  struct Signed {
    int8x16_t v[4];
  };
  static Signed negated(const Codes& magnitudes, std::uint64_t signs) {
    const uint8x16_t each_bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t bytes = vcombine_u8(vcreate_u8(signs), vcreate_u8(0));
    uint8x16_t order = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    Signed out;
    for (int i = 0; i < 4; ++i, order = vaddq_u8(order, vdupq_n_u8(2))) {
      const int8x16_t negative = vreinterpretq_s8_u8(vtstq_u8(vqtbl1q_u8(bytes, order), each_bit));  // 0 or -1
      out.v[i] = vsubq_s8(veorq_s8(vreinterpretq_s8_u8(magnitudes.v[i]), negative), negative);
    }
    return out;
  }
  static Signed signed_lookup(const Codes& nibbles, const std::int8_t* table) {
    const int8x16_t t = vld1q_s8(table);
    Signed out;
    for (int i = 0; i < 4; ++i) out.v[i] = vqtbl1q_s8(t, nibbles.v[i]);
    return out;
  }
  static Codes either(Codes a, Codes b) {
    for (int i = 0; i < 4; ++i) a.v[i] = vorrq_u8(a.v[i], b.v[i]);
    return a;
  }
  static Scales widen(int8x16_t v) { return {vmovl_s8(vget_low_s8(v)), vmovl_s8(vget_high_s8(v))}; }
  static Scales scales_of_32(std::uint64_t bytes) {
    const int8x8_t v = vcreate_s8(bytes);
    return widen(vcombine_s8(vzip1_s8(v, v), vzip2_s8(v, v)));
  }
  static Mins mins_of_32(std::uint64_t bytes) {
    const uint8x8_t v = vcreate_u8(bytes);
    return {vreinterpretq_s16_u16(vmovl_u8(vzip1_u8(v, v))), vreinterpretq_s16_u16(vmovl_u8(vzip2_u8(v, v)))};
  }
  static Scales scales_of_16(std::uint64_t lower, std::uint64_t upper) {
    return widen(vcombine_s8(vcreate_s8(lower), vcreate_s8(upper)));
  }
  static Mins mins_of_16(std::uint64_t lower, std::uint64_t upper) { return scales_of_16(lower, upper); }
  static Scales scales_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    const int16x8_t a = (int16x8_t)even, b = (int16x8_t)odd;
    return {vzip1q_s16(a, b), vzip2q_s16(a, b)};
  }
  static Mins mins_of_even_odd(formats::U16x8 even, formats::U16x8 odd) { return scales_of_even_odd(even, odd); }
  static Scales scales_of_32(formats::U16x8 w) { return scales_of_even_odd(w, w); }
  static Mins mins_of_32(formats::U16x8 w) { return scales_of_32(w); }
  static Scales scales_of_16(const std::int8_t* p) { return widen(vld1q_s8(p)); }
  static Mins mins_of_16(const std::int8_t* p) { return scales_of_16(p); }
  template <int J>
  static int32x4_t scale(Scales s) {
    const int16x8_t eight = J < 2 ? s.lower : s.upper;
    return vmovl_s16(J % 2 ? vget_high_s16(eight) : vget_low_s16(eight));
  }
  static int32x4_t group_dot(uint8x16_t u, const std::int8_t* q) {
    return vdotq_s32(no_ints(), vreinterpretq_s8_u8(u), vld1q_s8(q));
  }
  static int32x4_t group_dot(int8x16_t w, const std::int8_t* q) { return vdotq_s32(no_ints(), w, vld1q_s8(q)); }
  template <class C>
  static Ints add_dot(Ints sum, const C& u, const std::int8_t* q, int32x4_t scale) {
    sum = vmlaq_laneq_s32(sum, group_dot(u.v[0], q), scale, 0);
    sum = vmlaq_laneq_s32(sum, group_dot(u.v[1], q + 16), scale, 1);
    sum = vmlaq_laneq_s32(sum, group_dot(u.v[2], q + 32), scale, 2);
    return vmlaq_laneq_s32(sum, group_dot(u.v[3], q + 48), scale, 3);
  }
  template <int Half, class C>
  static Ints add_dots(Ints sum, const C& first, const C& second, const std::int8_t* q, Scales s) {
    sum = add_dot(sum, first, q, scale<2 * Half>(s));
    return add_dot(sum, second, q + 64, scale<2 * Half + 1>(s));
  }
  struct NoScales {};
  template <int Half>
  static Ints add_dots(Ints sum, const Codes& first, const Codes& second, const std::int8_t* q, NoScales) {
    for (int i = 0; i < 4; ++i) {
      sum = vdotq_s32(sum, vreinterpretq_s8_u8(first.v[i]), vld1q_s8(q + 16 * i));
      sum = vdotq_s32(sum, vreinterpretq_s8_u8(second.v[i]), vld1q_s8(q + 64 + 16 * i));
    }
    return sum;
  }
  // A panel of 4 rows: word w of row r, four codes, in lane r of vector w. A product multiplies it with any lane of a vector
  // of activations, so that these are loaded four words at a time and never broadcast.
  static constexpr int panel_rows = 4, panels_32 = 2, panel_tokens_32 = 4, panels_256 = 2, panel_tokens_256 = 4;
  static constexpr bool signed_panels = true;
  template <Code C>
  static void store_bytes(Weights w, std::uint8_t* to) {
    vst1q_u8(to, vreinterpretq_u8_s8(w.lower));
    vst1q_u8(to + 16, vreinterpretq_u8_s8(w.upper));
  }
  static void store_codes(const Codes& u, std::uint8_t* to) {
    for (int i = 0; i < 4; ++i) vst1q_u8(to + 16 * i, u.v[i]);
  }
  static void store_codes(const Signed& w, std::uint8_t* to) {
    for (int i = 0; i < 4; ++i) vst1q_u8(to + 16 * i, vreinterpretq_u8_s8(w.v[i]));
  }
  static void store_scales(Scales s, std::int16_t* to) {
    vst1q_s16(to, s.lower);
    vst1q_s16(to + 8, s.upper);
  }
  static void store_scales(NoScales, std::int16_t* to) { store_scales(Scales{vdupq_n_s16(1), vdupq_n_s16(1)}, to); }
  static void store_mins(Mins m, std::int16_t* to) { store_scales(m, to); }
  /// Four words at row(0) to row(3): to[stride * w + t] is word w of row t.
  template <class Row>
  [[gnu::always_inline]] static void transpose_4(const Row& row, std::int32_t* to, int stride) {
    const auto at = [&](int r) __attribute__((always_inline)) {
      return vreinterpretq_s32_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(row(r))));
    };
    const int32x4_t a = at(0), b = at(1), c = at(2), d = at(3);
    const int32x4_t ac = vzip1q_s32(a, c), bd = vzip1q_s32(b, d), ac2 = vzip2q_s32(a, c), bd2 = vzip2q_s32(b, d);
    vst1q_s32(to, vzip1q_s32(ac, bd));
    vst1q_s32(to + stride, vzip2q_s32(ac, bd));
    vst1q_s32(to + 2 * stride, vzip1q_s32(ac2, bd2));
    vst1q_s32(to + 3 * stride, vzip2q_s32(ac2, bd2));
  }
  template <int Bytes>
  static void transpose(const std::uint8_t* from, std::uint8_t* to) {
    for (int i = 0; i < Bytes; i += 16)
      transpose_4([&](int r) { return from + Bytes * r + i; }, reinterpret_cast<std::int32_t*>(to + 4 * i), 4);
  }
  template <class Row>
  static void transpose_8(const Row& row, std::int32_t* to) {
    for (int t = 0; t < 8; t += 4)
      for (int w = 0; w < 8; w += 4)
        transpose_4([&](int r) { return reinterpret_cast<const std::uint8_t*>(row(t + r)) + 4 * w; }, to + 8 * w + t, 8);
  }
  using Words [[gnu::vector_size(16)]] = std::uint32_t;
  static Words make_words(Ints a) { return (Words)a; }
  static void store_words(void* p, Words w) { store_ints(p, (Ints)w); }
  template <bool>
  static int8x16_t codes(Words w) {
    return (int8x16_t)w;
  }
  /// The bytes of words less a number.
  template <int number>
  static Words less(Words w) {
    return (Words)vsubq_s8((int8x16_t)w, vdupq_n_s8(number));
  }
  static Words look_up(Words nibbles, const std::int8_t* table) { return (Words)vqtbl1q_s8(vld1q_s8(table), (uint8x16_t)nibbles); }
  /// Byte B of each word, a signed number.
  template <int B>
  static int16x4_t bytes_of(Words w) {
    const uint8x16_t order = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    const int8x16_t by_byte = vqtbl1q_s8((int8x16_t)w, order);
    const int16x8_t two = B < 2 ? vmovl_s8(vget_low_s8(by_byte)) : vmovl_high_s8(by_byte);
    return B % 2 ? vget_high_s16(two) : vget_low_s16(two);
  }
  template <int Byte>
  static Ints scale_of(Words w) {
    return vmovl_s16(bytes_of<Byte>(w));
  }
  /// Pairs of 16-bit numbers have the first of all rows before the second of all rows.
  static Ints pairs_of(int16x4_t first, int16x4_t second) { return vreinterpretq_s32_s16(vcombine_s16(first, second)); }
  static int16x4_t firsts(Ints pairs) { return vget_low_s16(vreinterpretq_s16_s32(pairs)); }
  static int16x4_t seconds(Ints pairs) { return vget_high_s16(vreinterpretq_s16_s32(pairs)); }
  template <int A, int B>
  static Ints words_of(Words w) {
    return pairs_of(bytes_of<A>(w), bytes_of<B>(w));
  }
  static Ints load_pairs(const void* p) {
    const int16x4x2_t rows = vld2_s16(static_cast<const std::int16_t*>(p));
    return pairs_of(rows.val[0], rows.val[1]);
  }
  static Ints even_words(Ints pairs) { return vmovl_s16(firsts(pairs)); }
  static Ints odd_words(Ints pairs) { return vmovl_s16(seconds(pairs)); }
  static Ints pair_evens(Ints a, Ints b) { return pairs_of(firsts(a), firsts(b)); }
  static Ints words_times(Ints pairs, int factor) {
    return vreinterpretq_s32_s16(vmulq_n_s16(vreinterpretq_s16_s32(pairs), static_cast<std::int16_t>(factor)));
  }
  static F low_halves(Words w) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)w))); }
  static F high_halves(Words w) { return vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32((uint32x4_t)w, 16))); }
  static Words widen_bytes(const void* p) {
    std::uint32_t four;
    std::memcpy(&four, p, sizeof four);
    return (Words)vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
  }
  static F as_floats(Words w) { return (F)w; }
  static Ints load_ints(const void* p) { return vld1q_s32(static_cast<const std::int32_t*>(p)); }
  static void store_ints(void* p, Ints a) { vst1q_s32(static_cast<std::int32_t*>(p), a); }
  static Ints set_ints(int a) { return vdupq_n_s32(a); }
  /// One of four activation words, as products take it.
  template <int lane>
  struct Lane {
    int32x4_t words;
  };
  template <class Word, int lane = Word::lane>
  static Lane<lane> set_ints(Word word) {
    return {vreinterpretq_s32_u8(vld1q_u8(static_cast<const std::uint8_t*>(word.four)))};
  }
  using Narrow = Ints;
  template <int>
  static constexpr int words_at_once = 64;
  static Narrow begin(Ints sum) { return sum; }
  static Ints end(Ints, Narrow sum) { return sum; }
  static Ints add_scaled(Ints sum, Narrow a, Ints scale) { return vmlaq_s32(sum, a, scale); }
  static Ints add_words(Ints sum, int8x16_t codes, Ints q) { return vdotq_s32(sum, codes, vreinterpretq_s8_s32(q)); }
  template <int lane>
  static Ints add_words(Ints sum, int8x16_t codes, Lane<lane> q) {
    return vdotq_laneq_s32(sum, codes, vreinterpretq_s8_s32(q.words), lane);
  }
  static Ints add_pairs(Ints sum, Ints pairs, Ints sums) { return add_pairs(sum, pairs, Lane<0>{sums}); }
  template <int lane>
  static Ints add_pairs(Ints sum, Ints pairs, Lane<lane> sums) {
    const int16x8_t of_x = vreinterpretq_s16_s32(sums.words);
    return vmlal_laneq_s16(vmlal_laneq_s16(sum, firsts(pairs), of_x, 2 * lane), seconds(pairs), of_x, 2 * lane + 1);
  }
  static Ints dot_sums(Mins m, const std::int16_t* sums) {
    const int16x8_t a = vld1q_s16(sums), b = vld1q_s16(sums + 8);
    Ints out = vmull_s16(vget_low_s16(m.lower), vget_low_s16(a));
    out = vmlal_high_s16(out, m.lower, a);
    out = vmlal_s16(out, vget_low_s16(m.upper), vget_low_s16(b));
    return vmlal_high_s16(out, m.upper, b);
  }
  template <int Factor>
  static Ints negated_times(Ints a) {
    return vmulq_n_s32(a, -Factor);
  }
};

}  // namespace
}  // namespace strata::kernels
