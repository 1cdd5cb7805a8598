// Owns: the vocabulary of the skeletons for AVX-512 F, BW, DQ, VL, VNNI. Means the same as scalar/vocabulary.h.
// Partial loads and stores are masked: nothing outside the operand is touched.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa/octet_avx.h"
#include "kernels/cpu/isa/quad_sse.h"
#include "kernels/formats/half.h"
#include "kernels/formats/lanes.h"
#include "kernels/formats/simd.h"
#include "kernels/formats/small_floats.h"

namespace strata::kernels {
namespace {

struct Avx512 {
  static constexpr const char* name = "avx512";

  // Floats.
  static constexpr int lanes = 16, chains = 2, rows_float = 2, tokens_float = 4;
  using F = __m512;
  static __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static F zero() { return _mm512_setzero_ps(); }
  static F set(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static F load(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static F load(const formats::Half* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static F load(const formats::Half* p, int n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p)); }
  static F widen(__m256i upper) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16)); }
  static F load(const formats::Bfloat* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static F load(const formats::Bfloat* p, int n) { return widen(_mm256_maskz_loadu_epi16(first(n), p)); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
  static void store(float* p, F a, int n) { _mm512_mask_storeu_ps(p, first(n), a); }
  static void store(formats::Half* p, F a, int n) {
    _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static float sum(F a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  /// Into the second-level cache. (GCC drops calls of what only prefetches, so it must be inlined.)
  [[gnu::always_inline]] static void fetch(const void* p, std::ptrdiff_t bytes) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes)), _MM_HINT_T1);
  }

  // Integer sums, one to a float lane; sums of four blocks, one to a lane of a quad.
  using Ints = __m512i;
  using Quad = QuadSse;
  static Quad::Ints fold(Ints a) {
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
  static Ints no_ints() { return _mm512_setzero_si512(); }
  static F add_product(F sum, F factor, Ints a) { return _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(a), sum); }
  static F subtract_product(F sum, F factor, Ints a) { return _mm512_fnmadd_ps(factor, _mm512_cvtepi32_ps(a), sum); }
  static F to_float(Ints a) { return _mm512_cvtepi32_ps(a); }
  static F half(formats::Half h) { return _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(h.bits))); }

  // Blocks of 32: two at a time, one to each 256-bit half.
  static constexpr int blocks = 2, tokens_32 = 4;
  using Octet = OctetAvx;
  using Bytes = __m512i;
  using Weights = __m512i;
  static const std::uint8_t* at(const void* p, std::size_t bytes) { return static_cast<const std::uint8_t*>(p) + bytes; }
  static __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  template <int N>
  static Bytes bytes(const std::int8_t* p, std::size_t stride) {
    if constexpr (N == 1) return _mm512_zextsi256_si512(load256(p));
    return _mm512_inserti64x4(_mm512_castsi256_si512(load256(p)), load256(at(p, stride)), 1);
  }
  template <int N>
  static Bytes nibbles_of_32(const std::uint8_t* p, std::size_t stride) {
    __m512i both = _mm512_broadcast_i32x4(load128(p));  // quarters: low, high of block 0; low, high of block 1
    if constexpr (N == 2) both = _mm512_mask_broadcast_i32x4(both, 0xff00, load128(at(p, stride)));
    const __m512i shift = _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0);
    return _mm512_and_si512(_mm512_srlv_epi64(both, shift), _mm512_set1_epi8(15));
  }
  static std::uint32_t word(const void* p) {
    std::uint32_t out;
    std::memcpy(&out, p, sizeof out);
    return out;
  }
  template <int N, int Set, int Clear>
  static Bytes choose(const std::uint8_t* p, std::size_t stride) {
    const std::uint64_t bits = N == 2 ? std::uint64_t{word(at(p, stride))} << 32 | word(p) : word(p);
    return _mm512_mask_blend_epi8(bits, _mm512_set1_epi8(Clear), _mm512_set1_epi8(Set));
  }
  template <int N>
  static Bytes nibbles_of_16(const std::uint8_t* p) {
    const __m512i v = _mm512_permutexvar_epi64(_mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0), _mm512_castsi256_si512(load256(p)));
    return _mm512_and_si512(_mm512_srlv_epi64(v, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0)), _mm512_set1_epi8(15));
  }
  template <int N>
  static Bytes crumbs_of_4(const std::uint8_t* p) {
    __m512i v = _mm512_cvtepu8_epi32(load128(p));
    v = _mm512_or_si512(v, _mm512_slli_epi32(v, 12));  // bits 4 and on to bit 16
    v = _mm512_or_si512(v, _mm512_slli_epi32(v, 6));   // in either half, bits 2 and on to bit 8
    return _mm512_and_si512(v, _mm512_set1_epi8(3));
  }
  static Bytes lookup(Bytes nibbles, const std::int8_t* table) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load128(table)), nibbles);
  }
  // The dot product instruction takes unsigned by signed bytes: plain codes get 128 added.
  template <Code C, int Zero>
  static constexpr int excess = C == Code::plain ? 128 : Zero;
  template <Code C, int Zero>
  static Weights prepare(Bytes b) {
    if constexpr (C == Code::plain) return _mm512_xor_si512(b, _mm512_set1_epi8(-128));
    return b;
  }
  template <Code C>
  static Ints dot(Weights w, const std::int8_t* q) {
    return _mm512_dpbusd_epi32(no_ints(), w, _mm512_loadu_si512(q));
  }
  template <Code C>
  static Ints dot_by_16(Weights w, const std::int8_t* q) {
    return dot<C>(w, q);
  }
  static OctetAvx::Halves eight_sums_by_16(const Ints (&d)[4]) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(d[0], d[1]), _mm512_unpackhi_epi32(d[0], d[1]));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(d[2], d[3]), _mm512_unpackhi_epi32(d[2], d[3]));
    // Quarters: the halves of parts 0, 2, 4, 6, then those of parts 1, 3, 5, 7.
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m512i first = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));
    return {_mm512_castsi512_si256(_mm512_permutexvar_epi32(first, all)),
            _mm512_castsi512_si256(_mm512_permutexvar_epi32(second, all))};
  }
  static OctetAvx::Ints eight_sums(const Ints (&d)[4]) {
    const OctetAvx::Halves halves = eight_sums_by_16(d);
    return _mm256_add_epi32(halves.first, halves.second);
  }

  // Blocks of 256: codes in chunks of 64, chunk j's groups 4j to 4j + 3 in its quarters. Sums of four products of code
  // and activation (at most 4 * 63 * 127) fit 16 bits: those of two chunks are packed, group by group, and multiplied
  // by their groups' 16-bit scales at once. Quarter g of `Scales` holds those of groups g, 4 + g, 8 + g, 12 + g.
  static constexpr int tokens_256 = 4;
  using Codes = __m512i;
  using Scales = __m512i;
  using Mins = __m256i;
  static __m512i twice(const std::uint8_t* p) { return _mm512_broadcast_i64x4(load256(p)); }
  static __m512i lower_upper(int lower, int upper) {
    return _mm512_set_epi64(upper, upper, upper, upper, lower, lower, lower, lower);
  }
  static Codes nibbles(const std::uint8_t* p) {
    return _mm512_and_si512(_mm512_srlv_epi64(twice(p), lower_upper(0, 4)), _mm512_set1_epi8(15));
  }
  static Codes nibbles_by_32(const std::uint8_t* p) { return nibbles_of_32<2>(p, 16); }
  using Sixteen = __m128i;
  static Sixteen sixteen(const std::uint8_t* p) { return load128(p); }
  static Sixteen four_times(const std::uint8_t* p) { return _mm_set1_epi32(static_cast<int>(word(p))); }
  static Codes join(Sixteen a, Sixteen b, Sixteen c, Sixteen d) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(b, a)), _mm256_set_m128i(d, c), 1);
  }
  // Bytes are moved to the upper halves of 16-bit lanes, where products modulo 2^16 are those modulo 2^8.
  static Codes trits(Codes v, const std::uint8_t* p) {
    const __m512i powers = _mm512_loadu_si512(p), three = _mm512_set1_epi16(3);
    const __m512i upper = _mm512_set1_epi16(static_cast<short>(0xff00));
    const __m512i odd = _mm512_mulhi_epu16(_mm512_mullo_epi16(_mm512_and_si512(v, upper), powers), three);
    const __m512i even = _mm512_mulhi_epu16(_mm512_mullo_epi16(_mm512_slli_epi16(v, 8), powers), three);
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
  }
  template <int Upper>
  static Codes nibble(const std::uint8_t* p) {
    const __m512i v = _mm512_loadu_si512(p);
    return _mm512_and_si512(Upper ? _mm512_srli_epi16(v, 4) : v, _mm512_set1_epi8(15));
  }
  template <int To, int A, int B, int Mask>
  static Codes fields(const std::uint8_t* p) {
    const __m512i turned = _mm512_rorv_epi64(twice(p), lower_upper((A + 64 - To) % 64, (B + 64 - To) % 64));
    return _mm512_and_si512(turned, _mm512_set1_epi8(static_cast<char>(Mask << To)));
  }
  template <class Word>
  [[gnu::always_inline]] static __m256i four(const Word& word, int i) {
    const auto two = [&](int j) __attribute__((always_inline)) {
      const __m128i first = _mm_cvtsi64_si128(static_cast<long long>(word(j)));
      return _mm_insert_epi64(first, static_cast<long long>(word(j + 1)), 1);
    };
    const __m128i lower = two(i), upper = two(i + 2);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
  }
  template <class Word>
  [[gnu::always_inline]] static __m256i eight(const Word& word, int i) {
    const auto four = [&](int j) __attribute__((always_inline)) {
      __m128i v = _mm_cvtsi32_si128(static_cast<int>(word(j)));
      v = _mm_insert_epi32(v, static_cast<int>(word(j + 1)), 1);
      v = _mm_insert_epi32(v, static_cast<int>(word(j + 2)), 2);
      return _mm_insert_epi32(v, static_cast<int>(word(j + 3)), 3);
    };
    const __m128i lower = four(i), upper = four(i + 4);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
  }
  template <class Word>
  [[gnu::always_inline]] static Codes octets(const Word& word) {
    const __m256i lower = four(word, 0), upper = four(word, 4);
    return _mm512_inserti64x4(_mm512_castsi256_si512(lower), upper, 1);
  }
  template <class Word>
  [[gnu::always_inline]] static Codes quads(const Word& word) {
    const __m256i lower = eight(word, 0), upper = eight(word, 8);
    return _mm512_inserti64x4(_mm512_castsi256_si512(lower), upper, 1);
  }
  static Codes raised(Codes codes, std::uint32_t nibbles) {
    const __m512i bits = _mm512_setr_epi64(8, 8 << 4, 8 << 8, 8 << 12, 8 << 16, 8 << 20, 8 << 24, 8ll << 28);
    const __mmask8 clear = _mm512_testn_epi64_mask(_mm512_set1_epi64(static_cast<long long>(nibbles)), bits);
    return _mm512_mask_add_epi64(codes, clear, codes, _mm512_set1_epi8(2));
  }
  /// Magnitudes, and a bit for each that is set for a negative weight.
  struct Signed {
    __m512i magnitude;
    __mmask64 negative;
  };
  static Signed negated(Codes magnitudes, std::uint64_t signs) { return {magnitudes, signs}; }
  /// The same for magnitudes whose sums of four products do not fit 16 bits.
  struct WideSigned {
    __m512i magnitude;
    __mmask64 negative;
  };
  static WideSigned signed_lookup(Codes nibbles, const std::int8_t* table) {
    const __m512i w = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load128(table)), nibbles);
    return {_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
  }
  static Codes either(Codes a, Codes b) { return _mm512_or_si512(a, b); }
  static Scales quarters(__m128i ordered) {
    return _mm512_permutexvar_epi64(_mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0), _mm512_castsi256_si512(_mm256_cvtepi8_epi16(ordered)));
  }
  static Scales each_fourth(__m128i v) {
    return quarters(_mm_shuffle_epi8(v, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)));
  }
  static Scales scales_of_16(const std::int8_t* p) { return each_fourth(load128(p)); }
  static __m128i words(std::uint64_t lower, std::uint64_t upper) {
    return _mm_set_epi64x(static_cast<long long>(upper), static_cast<long long>(lower));
  }
  static Scales scales_of_32(std::uint64_t bytes) {
    return quarters(_mm_shuffle_epi8(words(bytes, 0), _mm_setr_epi8(0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7)));
  }
  static Scales scales_of_16(std::uint64_t lower, std::uint64_t upper) { return each_fourth(words(lower, upper)); }
  static Mins mins_of_32(std::uint64_t bytes) {
    const __m128i v = words(bytes, 0);
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(v, v));
  }
  static Mins mins_of_16(std::uint64_t lower, std::uint64_t upper) { return _mm256_cvtepi8_epi16(words(lower, upper)); }
  static Scales pick(__m256i words, long long g0, long long g1, long long g2, long long g3) {
    return _mm512_permutexvar_epi16(_mm512_setr_epi64(g0, g0, g1, g1, g2, g2, g3, g3), _mm512_castsi256_si512(words));
  }
  static __m256i both(formats::U16x8 even, formats::U16x8 odd) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256((__m128i)even), (__m128i)odd, 1);
  }
  static Scales scales_of_32(formats::U16x8 w) {
    constexpr long long even = 0x0006000400020000, odd = 0x0007000500030001;
    return pick(_mm256_castsi128_si256((__m128i)w), even, even, odd, odd);
  }
  static Scales scales_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    return pick(both(even, odd), 0x0006000400020000, 0x000e000c000a0008, 0x0007000500030001, 0x000f000d000b0009);
  }
  static Mins mins_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    const __m256i order = _mm256_setr_epi16(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    return _mm256_permutexvar_epi16(order, both(even, odd));
  }
  static Mins mins_of_32(formats::U16x8 w) { return mins_of_even_odd(w, w); }
  static Mins mins_of_16(const std::int8_t* p) { return _mm256_cvtepi8_epi16(load128(p)); }
  static Ints group_dots(Codes u, const std::int8_t* q) { return _mm512_dpbusd_epi32(no_ints(), u, _mm512_loadu_si512(q)); }
  static Ints group_dots(Signed w, const std::int8_t* q) {
    const __m512i v = _mm512_loadu_si512(q);
    return _mm512_dpbusd_epi32(no_ints(), w.magnitude, _mm512_mask_sub_epi8(v, w.negative, _mm512_setzero_si512(), v));
  }
  template <int Half, class C>
  static Ints add_dots(Ints sum, C first, C second, const std::int8_t* q, Scales s) {
    const __m512i dots = _mm512_packs_epi32(group_dots(first, q), group_dots(second, q + 64));
    constexpr int low = (4 * Half + 1) << 8 | 4 * Half, high = low + 0x0202;  // the bytes of one group's scale
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi16(low, low, low, low, high, high, high, high));
    return _mm512_dpwssd_epi32(sum, dots, _mm512_shuffle_epi8(s, order));
  }
  template <int J>
  static Ints add_dot(Ints sum, WideSigned w, const std::int8_t* q, Scales s) {
    const __m512i v = _mm512_loadu_si512(q);
    const __m512i pairs = _mm512_maddubs_epi16(w.magnitude, _mm512_mask_sub_epi8(v, w.negative, _mm512_setzero_si512(), v));
    return _mm512_dpwssd_epi32(sum, pairs, _mm512_shuffle_epi8(s, _mm512_set1_epi16((2 * J + 1) << 8 | 2 * J)));
  }
  template <int Half>
  static Ints add_dots(Ints sum, WideSigned first, WideSigned second, const std::int8_t* q, Scales s) {
    return add_dot<2 * Half + 1>(add_dot<2 * Half>(sum, first, q, s), second, q + 64, s);
  }
  struct NoScales {};
  // A panel of 16 rows: word w of row r, four codes, in lane r of vector w.
  // On Zen 4 a 512-bit load takes a cycle, as a product does: what is broadcast is used for two panels.
  static constexpr int panel_rows = 16, panels_32 = 2, panel_tokens_32 = 8, panels_256 = 2, panel_tokens_256 = 4;
  static constexpr bool signed_panels = false;
  template <Code>
  static void store_bytes(Weights w, std::uint8_t* to) { _mm512_store_si512(to, w); }
  static void store_codes(Codes u, std::uint8_t* to) { _mm512_store_si512(to, u); }
  static void store_codes(Signed w, std::uint8_t* to) {  // 128 more
    const __m512i v = _mm512_mask_sub_epi8(w.magnitude, w.negative, _mm512_setzero_si512(), w.magnitude);
    _mm512_store_si512(to, _mm512_xor_si512(v, _mm512_set1_epi8(-128)));
  }
  static void store_codes(WideSigned w, std::uint8_t* to) { store_codes(Signed{w.magnitude, w.negative}, to); }
  static void store_scales(Scales s, std::int16_t* to) {
    const __m256i order = _mm256_setr_epi16(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
    const __m512i words = _mm512_permutexvar_epi16(_mm512_castsi256_si512(order), s);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(words));
  }
  static void store_scales(NoScales, std::int16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_set1_epi16(1));
  }
  static void store_mins(Mins m, std::int16_t* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), m); }
  /// Vector w of `to` gets word w of each of 16 rows of 64 bytes.
  template <int Bytes>
  static void transpose(const std::uint8_t* from, std::uint8_t* to) {
    static_assert(Bytes == 64);
    __m512i a[16], b[16];
    for (int r = 0; r < 16; ++r) a[r] = _mm512_load_si512(from + 64 * r);
    for (int r = 0; r < 16; r += 2) {
      b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
      b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
    }
    for (int r = 0; r < 16; r += 4)
      for (int i = 0; i < 2; ++i) {
        a[r + 2 * i] = _mm512_unpacklo_epi64(b[r + i], b[r + i + 2]);
        a[r + 2 * i + 1] = _mm512_unpackhi_epi64(b[r + i], b[r + i + 2]);
      }
    // a[4 q + i]: words i, 4 + i, 8 + i, 12 + i of rows 4 q to 4 q + 3, by quarters.
    for (int i = 0; i < 4; ++i) {
      const __m512i low = _mm512_shuffle_i32x4(a[i], a[4 + i], 0x88), high = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0x88);
      const __m512i odd_low = _mm512_shuffle_i32x4(a[i], a[4 + i], 0xdd), odd_high = _mm512_shuffle_i32x4(a[8 + i], a[12 + i], 0xdd);
      _mm512_store_si512(to + 64 * i, _mm512_shuffle_i32x4(low, high, 0x88));
      _mm512_store_si512(to + 64 * (8 + i), _mm512_shuffle_i32x4(low, high, 0xdd));
      _mm512_store_si512(to + 64 * (4 + i), _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
      _mm512_store_si512(to + 64 * (12 + i), _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd));
    }
  }
  using Words [[gnu::vector_size(64)]] = std::uint32_t;
  static Words make_words(Ints a) { return (Words)a; }
  static void store_words(void* p, Words w) { _mm512_store_si512(p, (__m512i)w); }
  template <bool Signed>
  static Ints codes(Words w) {
    return (__m512i)w;
  }
  static Words look_up(Words nibbles, const std::int8_t* table) { return make_words(lookup((__m512i)nibbles, table)); }
  /// A byte of each word, a signed number.
  template <int Byte>
  static Ints scale_of(Words w) {
    return _mm512_srai_epi32(_mm512_slli_epi32((__m512i)w, 24 - 8 * Byte), 24);
  }
  /// Two bytes of each word, signed numbers, as a pair of 16-bit ones.
  template <int A, int B>
  static Ints words_of(Words w) {
    const __m128i order = _mm_setr_epi8(0, A, 0, B, 0, 4 + A, 0, 4 + B, 0, 8 + A, 0, 8 + B, 0, 12 + A, 0, 12 + B);
    return _mm512_srai_epi16(_mm512_shuffle_epi8((__m512i)w, _mm512_broadcast_i32x4(order)), 8);
  }
  /// The half floats in the lower or upper halves of words.
  static F low_halves(Words w) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)w)); }
  static F high_halves(Words w) { return low_halves(w >> 16); }
  static Words widen_bytes(const void* p) { return make_words(_mm512_cvtepu8_epi32(load128(p))); }
  static F as_floats(Words w) { return _mm512_castsi512_ps((__m512i)w); }
  static Ints set_ints(int a) { return _mm512_set1_epi32(a); }
  static Ints load_ints(const void* p) { return _mm512_load_si512(p); }
  static Ints load_pairs(const void* p) { return load_ints(p); }
  static void store_ints(void* p, Ints a) { _mm512_store_si512(p, a); }
  /// Of pairs of 16-bit numbers.
  static Ints even_words(Ints a) { return _mm512_srai_epi32(_mm512_slli_epi32(a, 16), 16); }
  static Ints pair_evens(Ints a, Ints b) { return _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 16)); }
  static Ints odd_words(Ints a) { return _mm512_srai_epi32(a, 16); }
  static Ints words_times(Ints a, int factor) { return _mm512_mullo_epi16(a, _mm512_set1_epi16(static_cast<short>(factor))); }
  using Narrow = Ints;  ///< sums of products before they are widened: here nothing need be
  template <int Most>
  static constexpr int words_at_once = 64;
  static Narrow begin(Ints sum) { return sum; }
  static Ints end(Ints, Narrow sum) { return sum; }
  static Ints add_scaled(Ints sum, Narrow a, Ints scale) { return _mm512_add_epi32(sum, _mm512_mullo_epi32(a, scale)); }
  /// sum + the products of each lane's four codes with the same four activations.
  static Ints add_words(Ints sum, Ints codes, Ints q) { return _mm512_dpbusd_epi32(sum, codes, q); }
  /// sum + the products of each lane's two numbers with the same two sums.
  static Ints add_pairs(Ints sum, Ints pairs, Ints sums) { return _mm512_dpwssd_epi32(sum, pairs, sums); }
  template <class Row>
  static void transpose_8(const Row& row, std::int32_t* to) {
    OctetAvx::transpose(row, to);
  }
  template <int Half>
  static Ints add_dots(Ints sum, Codes first, Codes second, const std::int8_t* q, NoScales) {
    sum = _mm512_dpbusd_epi32(sum, first, _mm512_loadu_si512(q));
    return _mm512_dpbusd_epi32(sum, second, _mm512_loadu_si512(q + 64));
  }
  static Ints dot_sums(Mins m, const std::int16_t* sums) {
    return _mm512_zextsi256_si512(_mm256_madd_epi16(m, load256(sums)));
  }
  template <int Factor>
  static Ints negated_times(Ints a) {
    return _mm512_mullo_epi32(a, _mm512_set1_epi32(-Factor));
  }
};

}  // namespace
}  // namespace strata::kernels
