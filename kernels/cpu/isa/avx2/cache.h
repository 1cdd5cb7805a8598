// Owns: attention's words for AVX2. They mean the same as in scalar/cache.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa/avx2/vocabulary.h"

namespace strata::kernels {
namespace {

struct Avx2Cache : Avx2 {
  // Rows of a cache: 16 bytes of each of `lanes` rows, `stride` elements apart, as columns with a row in each lane.
  static constexpr int direct_queries = 4, key_queries = 4, key_vectors = 2, value_queries = 2, value_vectors = 4;
  static __m128i at_row(const void* p, std::size_t bytes, int row) {
    return load128(static_cast<const char*>(p) + static_cast<std::size_t>(row) * bytes);
  }
  /// Words of four bytes.
  static void word_columns(const void* p, std::size_t bytes, __m256i* out) {
    const auto rows = [&](int r) __attribute__((always_inline)) {  // r, 4 + r
      return _mm256_inserti128_si256(_mm256_castsi128_si256(at_row(p, bytes, r)), at_row(p, bytes, 4 + r), 1);
    };
    const __m256i a = rows(0), b = rows(1), c = rows(2), d = rows(3);
    const __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    const __m256i ab2 = _mm256_unpackhi_epi32(a, b), cd2 = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab, cd), out[1] = _mm256_unpackhi_epi64(ab, cd);
    out[2] = _mm256_unpacklo_epi64(ab2, cd2), out[3] = _mm256_unpackhi_epi64(ab2, cd2);
  }
  static void columns(const float* p, std::size_t stride, F* out) {
    __m256i words[4];
    word_columns(p, stride * sizeof(float), words);
    for (int i = 0; i < 4; ++i) out[i] = _mm256_castsi256_ps(words[i]);
  }
  template <class Byte>
  static void columns(const Byte* p, std::size_t stride, __m256i* out) {
    word_columns(p, stride, out);
  }
  static void columns(const formats::Half* p, std::size_t stride, F* out) {
    __m128i row[8], pair[8], four[8];
    for (int r = 0; r < 8; ++r) row[r] = at_row(p, 2 * stride, r);
    for (int r = 0; r < 4; ++r) {
      pair[r] = _mm_unpacklo_epi16(row[2 * r], row[2 * r + 1]);
      pair[4 + r] = _mm_unpackhi_epi16(row[2 * r], row[2 * r + 1]);
    }
    for (int r = 0; r < 8; r += 2) {
      four[r] = _mm_unpacklo_epi32(pair[r], pair[r + 1]);
      four[r + 1] = _mm_unpackhi_epi32(pair[r], pair[r + 1]);
    }
    for (int r = 0; r < 8; r += 4)
      for (int i = 0; i < 2; ++i) {
        out[r + 2 * i] = _mm256_cvtph_ps(_mm_unpacklo_epi64(four[r + i], four[r + 2 + i]));
        out[r + 2 * i + 1] = _mm256_cvtph_ps(_mm_unpackhi_epi64(four[r + i], four[r + 2 + i]));
      }
  }
  static F strided_halves(const formats::Half* p, std::size_t bytes) {
    const auto bits = [&](int r) __attribute__((always_inline)) {
      short out;
      std::memcpy(&out, reinterpret_cast<const char*>(p) + static_cast<std::size_t>(r) * bytes, sizeof out);
      return out;
    };
    return _mm256_cvtph_ps(_mm_setr_epi16(bits(0), bits(1), bits(2), bits(3), bits(4), bits(5), bits(6), bits(7)));
  }
  /// The signed byte at bit Shift of each word.
  template <int Shift>
  static F signed_byte(__m256i a) {
    if constexpr (Shift < 24) a = _mm256_slli_epi32(a, 24 - Shift);
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(a, 24));
  }
  /// The four bits at bit Shift of each word, less 8.
  template <int Shift>
  static F centred_nibble(__m256i a) {
    if constexpr (Shift > 0) a = _mm256_srli_epi32(a, Shift);
    a = _mm256_and_si256(a, _mm256_set1_epi32(15));
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(a, _mm256_set1_epi32(8)));
  }
  /// One byte to a lane.
  static F signed_bytes(const std::int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static __m256i unsigned_bytes(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  /// Begins to bring a line of memory into the second-level cache. GCC drops calls of functions that do no more than that.
  [[gnu::always_inline]] static void fetch(const void* p) { _mm_prefetch(p, _MM_HINT_T1); }
  static constexpr bool multiplies_bytes = false;

  // Softmax.
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static float largest(F a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }
};

}  // namespace
}  // namespace strata::kernels
