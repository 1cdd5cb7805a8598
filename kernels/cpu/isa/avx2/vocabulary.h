// Owns: the vocabulary of the skeletons for AVX2, FMA and F16C. Means the same as scalar/vocabulary.h.
// Partial loads and stores go through a copy: masked stores are slow on several processors, and emulators fault on
// lanes that a mask leaves out.
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

struct Avx2 {
  static constexpr const char* name = "avx2";

  // Floats.
  static constexpr int lanes = 8, chains = 2, rows_float = 3, tokens_float = 2;
  using F = __m256;
  static F zero() { return _mm256_setzero_ps(); }
  static F set(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static F load(const formats::Half* p) { return _mm256_cvtph_ps(load128(p)); }
  static F widen(__m128i upper) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(upper), 16)); }
  static F load(const formats::Bfloat* p) { return widen(load128(p)); }
  template <class Element>
  static F load(const Element* p, int n) {
    Element padded[8] = {};
    for (int i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
  }
  static void store(float* p, F a) { _mm256_storeu_ps(p, a); }
  static void store(float* p, F a, int n) {
    float padded[8];
    store(padded, a);
    for (int i = 0; i < n; ++i) p[i] = padded[i];
  }
  static void store(formats::Half* p, F a, int n) {
    formats::Half halves[8];
    const __m128i bits = _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), bits);
    if (n == 8)
      std::memcpy(p, halves, sizeof halves);
    else
      for (int i = 0; i < n; ++i) p[i] = halves[i];
  }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static float sum(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  /// Into the second-level cache. (GCC drops calls of what only prefetches, so it must be inlined.)
  [[gnu::always_inline]] static void fetch(const void* p, std::ptrdiff_t bytes) {
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(p) + static_cast<std::uintptr_t>(bytes)), _MM_HINT_T1);
  }

  // Integer sums, one to a float lane; sums of four blocks, one to a lane of a quad.
  using Ints = __m256i;
  using Quad = QuadSse;
  static Quad::Ints fold(Ints a) { return _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)); }
  static Ints no_ints() { return _mm256_setzero_si256(); }
  static F add_product(F sum, F factor, Ints a) { return _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(a), sum); }
  static F subtract_product(F sum, F factor, Ints a) { return _mm256_fnmadd_ps(factor, _mm256_cvtepi32_ps(a), sum); }
  static F to_float(Ints a) { return _mm256_cvtepi32_ps(a); }
  static F half(formats::Half h) { return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(h.bits))); }

  // Blocks of 32.
  static constexpr int blocks = 1, tokens_32 = 2;
  using Octet = OctetAvx;
  using Bytes = __m256i;
  struct Weights {
    __m256i magnitude, sign;  // the sign of plain codes
  };
  static __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  template <int N>
  static Bytes bytes(const std::int8_t* p, std::size_t) {
    return load256(p);
  }
  static __m256i low4(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
  template <int N>
  static Bytes nibbles_of_32(const std::uint8_t* p, std::size_t) {
    const __m128i v = load128(p);
    return low4(_mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1));
  }
  template <int N, int Set, int Clear>
  static Bytes choose(const std::uint8_t* p, std::size_t) {
    std::int32_t bits;
    std::memcpy(&bits, p, sizeof bits);
    const __m256i order = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201u));
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), order), bit), bit);
    return _mm256_xor_si256(_mm256_and_si256(set, _mm256_set1_epi8(Set ^ Clear)), _mm256_set1_epi8(Clear));
  }
  template <int N>
  static Bytes nibbles_of_16(const std::uint8_t* p) {
    const __m256i v = _mm256_permute4x64_epi64(_mm256_castsi128_si256(load128(p)), 0b01010000);
    return low4(_mm256_srlv_epi64(v, _mm256_setr_epi64x(0, 4, 0, 4)));
  }
  template <int N>
  static Bytes crumbs_of_4(const std::uint8_t* p) {
    __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    v = _mm256_or_si256(v, _mm256_slli_epi32(v, 12));  // bits 4 and on to bit 16
    v = _mm256_or_si256(v, _mm256_slli_epi32(v, 6));   // in either half, bits 2 and on to bit 8
    return _mm256_and_si256(v, _mm256_set1_epi8(3));
  }
  static Bytes lookup(Bytes nibbles, const std::int8_t* table) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(table)), nibbles);
  }
  static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  // The product instruction takes unsigned by signed bytes and saturates its pairs to 16 bits: magnitudes up to 128
  // by activations up to 127 give at most 32512.
  template <Code C, int Zero>
  static constexpr int excess = Zero;
  template <Code C, int Zero>
  static Weights prepare(Bytes b) {
    if constexpr (C == Code::plain) return {_mm256_abs_epi8(b), b};
    return {b, b};
  }
  static Ints add_pairs(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }
  template <Code C>
  static Ints dot(Weights w, const std::int8_t* q) {
    if constexpr (C == Code::plain) return add_pairs(_mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(load256(q), w.sign)));
    return add_pairs(_mm256_maddubs_epi16(w.magnitude, load256(q)));
  }
  template <Code C>
  static Ints dot_by_16(Weights w, const std::int8_t* q) {
    return dot<C>(w, q);
  }
  static Ints four_sums(Ints a, Ints b, Ints c, Ints d) {  // in either half those of the halves
    const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  }
  static OctetAvx::Halves eight_sums_by_16(const Ints (&d)[8]) {
    const __m256i lower = four_sums(d[0], d[1], d[2], d[3]), upper = four_sums(d[4], d[5], d[6], d[7]);
    return {_mm256_permute2x128_si256(lower, upper, 0x20), _mm256_permute2x128_si256(lower, upper, 0x31)};
  }
  static OctetAvx::Ints eight_sums(const Ints (&d)[8]) {
    const OctetAvx::Halves halves = eight_sums_by_16(d);
    return _mm256_add_epi32(halves.first, halves.second);
  }

  // Blocks of 256: codes in chunks of 64. Products of code and activation are summed in pairs to 16 bits (at most
  // 2 * 63 * 127), then multiplied by their group's 16-bit scale. The halves of `Scales` are those of the even and of
  // the odd groups; 32 codes are an even group and the next.
  static constexpr int tokens_256 = 4;
  struct Codes {
    __m256i lower, upper;
  };
  using Scales = __m256i;
  using Mins = __m256i;
  static Codes nibbles(const std::uint8_t* p) {
    const __m256i v = load256(p);
    return {low4(v), low4(_mm256_srli_epi16(v, 4))};
  }
  static Codes nibbles_by_32(const std::uint8_t* p) { return {nibbles_of_32<1>(p, 0), nibbles_of_32<1>(p + 16, 0)}; }
  using Sixteen = __m128i;
  static Sixteen sixteen(const std::uint8_t* p) { return load128(p); }
  static Sixteen four_times(const std::uint8_t* p) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm_set1_epi32(word);
  }
  static Codes join(Sixteen a, Sixteen b, Sixteen c, Sixteen d) { return {_mm256_set_m128i(b, a), _mm256_set_m128i(d, c)}; }
  // Bytes are moved to the upper halves of 16-bit lanes, where products modulo 2^16 are those modulo 2^8.
  static __m256i trits(__m256i v, __m256i powers) {
    const __m256i three = _mm256_set1_epi16(3), upper = _mm256_set1_epi16(static_cast<short>(0xff00));
    const __m256i even = _mm256_mulhi_epu16(_mm256_mullo_epi16(_mm256_slli_epi16(v, 8), powers), three);
    const __m256i odd = _mm256_mulhi_epu16(_mm256_mullo_epi16(_mm256_and_si256(v, upper), powers), three);
    return _mm256_or_si256(even, _mm256_slli_epi16(odd, 8));
  }
  static Codes trits(Codes v, const std::uint8_t* powers) {
    return {trits(v.lower, load256(powers)), trits(v.upper, load256(powers + 32))};
  }
  template <int Upper>
  static Codes nibble(const std::uint8_t* p) {
    const __m256i a = load256(p), b = load256(p + 32);
    if constexpr (Upper) return {low4(_mm256_srli_epi16(a, 4)), low4(_mm256_srli_epi16(b, 4))};
    return {low4(a), low4(b)};
  }
  template <int To, int At, int Mask>
  static __m256i field(__m256i v) {
    const __m256i moved = At <= To ? _mm256_slli_epi16(v, (To - At) & 15) : _mm256_srli_epi16(v, (At - To) & 15);
    return _mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(Mask << To)));
  }
  template <int To, int A, int B, int Mask>
  static Codes fields(const std::uint8_t* p) {
    const __m256i v = load256(p);
    return {field<To, A, Mask>(v), field<To, B, Mask>(v)};
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
    return {lower, upper};
  }
  template <class Word>
  [[gnu::always_inline]] static Codes quads(const Word& word) {
    const __m256i lower = eight(word, 0), upper = eight(word, 8);
    return {lower, upper};
  }
  static Codes raised(Codes codes, std::uint32_t nibbles) {
    const auto raise = [&](__m256i eights, __m256i bits) __attribute__((always_inline)) {
      const __m256i set = _mm256_and_si256(_mm256_set1_epi64x(static_cast<long long>(nibbles)), bits);
      const __m256i clear = _mm256_cmpeq_epi64(set, _mm256_setzero_si256());
      return _mm256_add_epi8(eights, _mm256_and_si256(clear, _mm256_set1_epi8(2)));
    };
    return {raise(codes.lower, _mm256_setr_epi64x(8, 8 << 4, 8 << 8, 8 << 12)),
            raise(codes.upper, _mm256_setr_epi64x(8 << 16, 8 << 20, 8 << 24, 8ll << 28))};
  }
  /// Magnitudes, and bytes of their weights' signs.
  struct Signed {
    Codes magnitude, sign;
  };
  static Signed negated(Codes magnitudes, std::uint64_t signs) {
    const __m256i each_bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201u));
    const auto expand = [&](std::uint32_t word) __attribute__((always_inline)) {  // 1 or -1
      const __m256i order = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
      const __m256i bits = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word)), order), each_bit);
      return _mm256_or_si256(_mm256_cmpeq_epi8(bits, each_bit), _mm256_set1_epi8(1));
    };
    return {magnitudes, {expand(static_cast<std::uint32_t>(signs)), expand(static_cast<std::uint32_t>(signs >> 32))}};
  }
  static Signed signed_lookup(Codes nibbles, const std::int8_t* table) {
    const Codes w = {lookup(nibbles.lower, table), lookup(nibbles.upper, table)};
    return {{_mm256_abs_epi8(w.lower), _mm256_abs_epi8(w.upper)}, w};
  }
  static Codes either(Codes a, Codes b) {
    return {_mm256_or_si256(a.lower, b.lower), _mm256_or_si256(a.upper, b.upper)};
  }
  static __m128i words(std::uint64_t lower, std::uint64_t upper) {
    return _mm_set_epi64x(static_cast<long long>(upper), static_cast<long long>(lower));
  }
  static Scales scales_of_32(std::uint64_t bytes) { return _mm256_broadcastsi128_si256(_mm_cvtepi8_epi16(words(bytes, 0))); }
  static Scales scales_of_16(std::uint64_t lower, std::uint64_t upper) { return even_odd(words(lower, upper)); }
  static Mins mins_of_32(std::uint64_t bytes) {
    const __m128i v = words(bytes, 0);
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(v, v));
  }
  static Mins mins_of_16(std::uint64_t lower, std::uint64_t upper) { return _mm256_cvtepi8_epi16(words(lower, upper)); }
  static Scales scales_of_32(formats::U16x8 w) { return _mm256_broadcastsi128_si256((__m128i)w); }
  static Scales scales_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256((__m128i)even), (__m128i)odd, 1);
  }
  static Mins mins_of_32(formats::U16x8 w) { return mins_of_even_odd(w, w); }
  static Mins mins_of_even_odd(formats::U16x8 even, formats::U16x8 odd) {
    const __m128i lower = _mm_unpacklo_epi16((__m128i)even, (__m128i)odd), upper = _mm_unpackhi_epi16((__m128i)even, (__m128i)odd);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
  }
  static Scales scales_of_16(const std::int8_t* p) {
    return even_odd(load128(p));
  }
  static Scales even_odd(__m128i ordered) {
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(ordered, order));
  }
  static Mins mins_of_16(const std::int8_t* p) { return _mm256_cvtepi8_epi16(load128(p)); }
  template <int G>
  static __m256i pair(Scales s) {
    return _mm256_shuffle_epi8(s, _mm256_set1_epi16((2 * G + 1) << 8 | 2 * G));
  }
  template <int J>
  static Codes scale(Scales s) {
    return {pair<2 * J>(s), pair<2 * J + 1>(s)};
  }
  static Codes pairs(Codes u, const std::int8_t* q) {
    return {_mm256_maddubs_epi16(u.lower, load256(q)), _mm256_maddubs_epi16(u.upper, load256(q + 32))};
  }
  static Codes pairs(const Signed& w, const std::int8_t* q) {
    const __m256i lower = _mm256_sign_epi8(load256(q), w.sign.lower), upper = _mm256_sign_epi8(load256(q + 32), w.sign.upper);
    return {_mm256_maddubs_epi16(w.magnitude.lower, lower), _mm256_maddubs_epi16(w.magnitude.upper, upper)};
  }
  template <class C>
  static Ints add_dot(Ints sum, const C& u, const std::int8_t* q, Codes scale) {
    const Codes sums = pairs(u, q);
    const __m256i lower = _mm256_madd_epi16(sums.lower, scale.lower), upper = _mm256_madd_epi16(sums.upper, scale.upper);
    return _mm256_add_epi32(sum, _mm256_add_epi32(lower, upper));
  }
  template <int Half, class C>
  static Ints add_dots(Ints sum, const C& first, const C& second, const std::int8_t* q, Scales s) {
    sum = add_dot(sum, first, q, scale<2 * Half>(s));
    return add_dot(sum, second, q + 64, scale<2 * Half + 1>(s));
  }
  struct NoScales {};
  template <int Half>
  static Ints add_dots(Ints sum, Codes first, Codes second, const std::int8_t* q, NoScales) {
    const Codes a = pairs(first, q), b = pairs(second, q + 64);
    const __m256i all = _mm256_add_epi16(_mm256_add_epi16(a.lower, a.upper), _mm256_add_epi16(b.lower, b.upper));
    return _mm256_add_epi32(sum, add_pairs(all));
  }
  // A panel of 8 rows. Products are summed in pairs to 16 bits; where codes are small, those of several words are added
  // before they are widened, or multiplied by their group's scale, which is there in both halves of a word.
  static constexpr int panel_rows = 8, panels_32 = 2, panel_tokens_32 = 4, panels_256 = 2, panel_tokens_256 = 4;
  static constexpr bool signed_panels = true;
  static void store256(void* p, __m256i v) { _mm256_store_si256(static_cast<__m256i*>(p), v); }
  template <Code C>
  static void store_bytes(Weights w, std::uint8_t* to) {
    store256(to, w.sign);
  }
  static void store_codes(Codes u, std::uint8_t* to) {
    store256(to, u.lower);
    store256(to + 32, u.upper);
  }
  static void store_codes(const Signed& w, std::uint8_t* to) {
    store256(to, _mm256_sign_epi8(w.magnitude.lower, w.sign.lower));
    store256(to + 32, _mm256_sign_epi8(w.magnitude.upper, w.sign.upper));
  }
  static void store_scales(Scales s, std::int16_t* to) {
    const __m128i even = _mm256_castsi256_si128(s), odd = _mm256_extracti128_si256(s, 1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_unpacklo_epi16(even, odd));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8), _mm_unpackhi_epi16(even, odd));
  }
  static void store_scales(NoScales, std::int16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_set1_epi16(1));
  }
  static void store_mins(Mins m, std::int16_t* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), m); }
  template <int Bytes>
  static void transpose(const std::uint8_t* from, std::uint8_t* to) {
    for (int i = 0; i < Bytes; i += 32)
      OctetAvx::transpose([&](int r) { return from + Bytes * r + i; }, reinterpret_cast<std::int32_t*>(to + 8 * i));
  }
  template <class Row>
  static void transpose_8(const Row& row, std::int32_t* to) {
    OctetAvx::transpose(row, to);
  }
  using Words [[gnu::vector_size(32)]] = std::uint32_t;
  static Words make_words(Ints a) { return (Words)a; }
  static void store_words(void* p, Words w) { store256(p, (__m256i)w); }
  template <bool Signed>
  static auto codes(Words w) {
    if constexpr (Signed) return Weights{_mm256_abs_epi8((__m256i)w), (__m256i)w};
    else return (__m256i)w;
  }
  static Words look_up(Words nibbles, const std::int8_t* table) { return make_words(lookup((__m256i)nibbles, table)); }
  template <int Byte>
  static Ints scale_of(Words w) {
    return words_of<Byte, Byte>(w);
  }
  template <int A, int B>
  static Ints words_of(Words w) {
    const __m128i order = _mm_setr_epi8(0, A, 0, B, 0, 4 + A, 0, 4 + B, 0, 8 + A, 0, 8 + B, 0, 12 + A, 0, 12 + B);
    return _mm256_srai_epi16(_mm256_shuffle_epi8((__m256i)w, _mm256_broadcastsi128_si256(order)), 8);
  }
  static F low_halves(Words w) {
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 0, 1, 4, 5, 8, 9, 12, 13);
    const __m256i halves = _mm256_shuffle_epi8((__m256i)w, _mm256_broadcastsi128_si256(order));
    return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(halves, 0b1000)));
  }
  static F high_halves(Words w) { return low_halves(w >> 16); }
  static Words widen_bytes(const void* p) {
    return make_words(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  static F as_floats(Words w) { return _mm256_castsi256_ps((__m256i)w); }
  static Ints set_ints(int a) { return _mm256_set1_epi32(a); }
  static Ints load_ints(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
  static Ints load_pairs(const void* p) { return load_ints(p); }
  static void store_ints(void* p, Ints a) { store256(p, a); }
  static Ints even_words(Ints a) { return _mm256_blend_epi16(a, _mm256_slli_epi32(a, 16), 0xaa); }
  static Ints pair_evens(Ints a, Ints b) { return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa); }
  static Ints odd_words(Ints a) { return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), a, 0xaa); }
  static Ints words_times(Ints a, int factor) { return _mm256_mullo_epi16(a, _mm256_set1_epi16(static_cast<short>(factor))); }
  using Narrow = __m256i;
  template <int Most>
  static constexpr int words_at_once = 32767 / (2 * 127 * Most) >= 8   ? 8
                                       : 32767 / (2 * 127 * Most) >= 4 ? 4
                                       : 32767 / (2 * 127 * Most) >= 2 ? 2
                                                                       : 1;
  static Narrow begin(Ints) { return _mm256_setzero_si256(); }
  static Ints end(Ints sum, Narrow a) { return _mm256_add_epi32(sum, add_pairs(a)); }
  static Ints add_scaled(Ints sum, Narrow a, Ints scale) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, scale)); }
  static Ints add_pairs(Ints sum, Ints pairs, Ints sums) { return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, sums)); }
  static Narrow add_words(Narrow sum, __m256i codes, Ints q) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, q)); }
  static Narrow add_words(Narrow sum, Weights w, Ints q) {
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(q, w.sign)));
  }
  static Ints dot_sums(Mins m, const std::int16_t* sums) { return _mm256_madd_epi16(m, load256(sums)); }
  template <int Factor>
  static Ints negated_times(Ints a) {
    return _mm256_mullo_epi32(a, _mm256_set1_epi32(-Factor));
  }
};

}  // namespace
}  // namespace strata::kernels
