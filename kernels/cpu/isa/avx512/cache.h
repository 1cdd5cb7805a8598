// Owns: attention's words for AVX-512. They mean the same as in scalar/cache.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa/avx512/vocabulary.h"

namespace strata::kernels {
namespace {

struct Avx512Cache : Avx512 {
  // Rows of a cache: 16 bytes of each of `lanes` rows, `stride` elements apart, as columns with a row in each lane.
  static constexpr int direct_queries = 8, key_queries = 4, key_vectors = 2, value_queries = 4, value_vectors = 4;
  static __m128i at_row(const void* p, std::size_t bytes, int row) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(static_cast<const char*>(p) + static_cast<std::size_t>(row) * bytes));
  }
  /// Words of four bytes.
  static void word_columns(const void* p, std::size_t bytes, __m512i* out) {
    const auto rows = [&](int r) __attribute__((always_inline)) {  // r, 4 + r, 8 + r, 12 + r
      const __m512i lower = _mm512_inserti32x4(_mm512_castsi128_si512(at_row(p, bytes, r)), at_row(p, bytes, 4 + r), 1);
      return _mm512_inserti32x4(_mm512_inserti32x4(lower, at_row(p, bytes, 8 + r), 2), at_row(p, bytes, 12 + r), 3);
    };
    const __m512i a = rows(0), b = rows(1), c = rows(2), d = rows(3);
    const __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
    const __m512i ab2 = _mm512_unpackhi_epi32(a, b), cd2 = _mm512_unpackhi_epi32(c, d);
    out[0] = _mm512_unpacklo_epi64(ab, cd), out[1] = _mm512_unpackhi_epi64(ab, cd);
    out[2] = _mm512_unpacklo_epi64(ab2, cd2), out[3] = _mm512_unpackhi_epi64(ab2, cd2);
  }
  static void columns(const float* p, std::size_t stride, F* out) {
    __m512i words[4];
    word_columns(p, stride * sizeof(float), words);
    for (int i = 0; i < 4; ++i) out[i] = _mm512_castsi512_ps(words[i]);
  }
  template <class Byte>
  static void columns(const Byte* p, std::size_t stride, __m512i* out) {
    word_columns(p, stride, out);
  }
  static void columns(const formats::Half* p, std::size_t stride, F* out) {
    __m256i row[8], pair[8], four[8];  // rows r and 8 + r in the halves
    for (int r = 0; r < 8; ++r)
      row[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(at_row(p, 2 * stride, r)), at_row(p, 2 * stride, 8 + r), 1);
    for (int r = 0; r < 4; ++r) {
      pair[r] = _mm256_unpacklo_epi16(row[2 * r], row[2 * r + 1]);
      pair[4 + r] = _mm256_unpackhi_epi16(row[2 * r], row[2 * r + 1]);
    }
    for (int r = 0; r < 8; r += 2) {
      four[r] = _mm256_unpacklo_epi32(pair[r], pair[r + 1]);
      four[r + 1] = _mm256_unpackhi_epi32(pair[r], pair[r + 1]);
    }
    for (int r = 0; r < 8; r += 4)
      for (int i = 0; i < 2; ++i) {
        out[r + 2 * i] = _mm512_cvtph_ps(_mm256_unpacklo_epi64(four[r + i], four[r + 2 + i]));
        out[r + 2 * i + 1] = _mm512_cvtph_ps(_mm256_unpackhi_epi64(four[r + i], four[r + 2 + i]));
      }
  }
  static F strided_halves(const formats::Half* p, std::size_t bytes) {
    const auto bits = [&](int r) __attribute__((always_inline)) {
      short out;
      std::memcpy(&out, reinterpret_cast<const char*>(p) + static_cast<std::size_t>(r) * bytes, sizeof out);
      return out;
    };
    return _mm512_cvtph_ps(_mm256_setr_epi16(bits(0), bits(1), bits(2), bits(3), bits(4), bits(5), bits(6), bits(7), bits(8), bits(9),
                                             bits(10), bits(11), bits(12), bits(13), bits(14), bits(15)));
  }
  /// The signed byte at bit Shift of each word.
  template <int Shift>
  static F signed_byte(__m512i a) {
    if constexpr (Shift < 24) a = _mm512_slli_epi32(a, 24 - Shift);
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(a, 24));
  }
  /// The four bits at bit Shift of each word, less 8.
  template <int Shift>
  static F centred_nibble(__m512i a) {
    if constexpr (Shift > 0) a = _mm512_srli_epi32(a, Shift);
    return _mm512_permutexvar_ps(a, _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7));
  }
  /// One byte to a lane.
  static F signed_bytes(const std::int8_t* p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))); }
  static __m512i unsigned_bytes(const std::uint8_t* p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  /// Begins to bring a line of memory into the second-level cache. GCC drops calls of functions that do no more than that.
  [[gnu::always_inline]] static void fetch(const void* p) { _mm_prefetch(p, _MM_HINT_T1); }
  // Words of four bytes of keys, unsigned as the dot product instruction takes them, by signed bytes of queries.
  static constexpr bool multiplies_bytes = true;
  static constexpr std::int32_t added_to_bytes = 128;
  static __m512i add_to_bytes(__m512i a) { return _mm512_xor_si512(a, _mm512_set1_epi8(-128)); }
  static __m512i load_words(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static void store_words(std::int32_t* p, __m512i a) { _mm512_storeu_si512(p, a); }
  static __m512i set_ints(std::int32_t x) { return _mm512_set1_epi32(x); }
  static __m512i each_word(const std::int8_t* p) { return _mm512_set1_epi32(static_cast<int>(word(p))); }
  static __m512i add_dots_of_4(__m512i sum, __m512i keys, __m512i query) { return _mm512_dpbusd_epi32(sum, keys, query); }
  template <int Shift>
  static __m512i nibbles_of_words(__m512i a) {
    return _mm512_and_si512(Shift ? _mm512_srli_epi16(a, Shift) : a, _mm512_set1_epi8(15));
  }

  // Softmax.
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static float largest(F a) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
  /// e^x within 2 ulp for x <= 0 or NaN: x = n ln 2 + r, |r| <= ln 2 / 2, and a Taylor polynomial of e^r.
  static F exponential(F x) {
    x = _mm512_max_ps(set(-104.0f), x);  // zero there
    const F n = _mm512_roundscale_ps(mul(x, set(0x1.715476p+0f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const F r = _mm512_fnmadd_ps(n, set(0x1.7f7d1cp-20f), _mm512_fnmadd_ps(n, set(0x1.62e4p-1f), x));
    F p = fma(r, set(1.0f / 5040), set(1.0f / 720));
    p = fma(p, r, set(1.0f / 120));
    p = fma(p, r, set(1.0f / 24));
    p = fma(p, r, set(1.0f / 6));
    p = fma(p, r, set(0.5f));
    p = fma(p, r, set(1.0f));
    return _mm512_scalef_ps(fma(p, r, set(1.0f)), n);
  }
};

}  // namespace
}  // namespace strata::kernels
