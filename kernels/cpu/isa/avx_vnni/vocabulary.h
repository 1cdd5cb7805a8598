// Owns: the vocabulary of the skeletons for AVX2 with AVX-VNNI: its products of bytes. Everything else is AVX2's.
// The intrinsics exist in two encodings; a translation unit compiled for AVX-512 VNNI gets the other one.
#pragma once

#include "kernels/cpu/isa/avx2/vocabulary.h"

namespace strata::kernels {
namespace {

struct AvxVnni : Avx2 {
  static constexpr const char* name = "avx_vnni";

  // The product instruction takes unsigned by signed bytes and adds four products to 32 bits: plain codes get 128 added.
  using Weights = __m256i;
  template <Code C, int Zero>
  static constexpr int excess = C == Code::plain ? 128 : Zero;
  template <Code C, int Zero>
  static Weights prepare(Bytes b) {
    if constexpr (C == Code::plain) return _mm256_xor_si256(b, _mm256_set1_epi8(-128));
    return b;
  }
  template <Code C>
  static Ints dot(Weights w, const std::int8_t* q) {
    return _mm256_dpbusd_epi32(no_ints(), w, load256(q));
  }
  template <Code C>
  static Ints dot_by_16(Weights w, const std::int8_t* q) {
    return dot<C>(w, q);
  }

  // A panel of 8 rows.
  static constexpr bool signed_panels = false;
  template <Code>
  static void store_bytes(Weights w, std::uint8_t* to) {
    store256(to, w);
  }
  using Avx2::store_codes;
  static void store_codes(const Signed& w, std::uint8_t* to) {  // 128 more
    const __m256i excess = _mm256_set1_epi8(-128);
    store256(to, _mm256_xor_si256(_mm256_sign_epi8(w.magnitude.lower, w.sign.lower), excess));
    store256(to + 32, _mm256_xor_si256(_mm256_sign_epi8(w.magnitude.upper, w.sign.upper), excess));
  }
  template <bool Signed>
  static Ints codes(Words w) {
    return (__m256i)w;
  }
  /// A byte of each word, a signed number.
  template <int Byte>
  static Ints scale_of(Words w) {
    return _mm256_srai_epi32(_mm256_slli_epi32((__m256i)w, 24 - 8 * Byte), 24);
  }
  static Ints even_words(Ints a) { return _mm256_srai_epi32(_mm256_slli_epi32(a, 16), 16); }
  static Ints odd_words(Ints a) { return _mm256_srai_epi32(a, 16); }
  using Narrow = Ints;  ///< sums of products before they are widened: here nothing need be
  template <int Most>
  static constexpr int words_at_once = 64;
  static Narrow begin(Ints sum) { return sum; }
  static Ints end(Ints, Narrow sum) { return sum; }
  static Ints add_scaled(Ints sum, Narrow a, Ints scale) { return _mm256_add_epi32(sum, _mm256_mullo_epi32(a, scale)); }
  static Ints add_words(Ints sum, Ints codes, Ints q) { return _mm256_dpbusd_epi32(sum, codes, q); }
  static Ints add_pairs(Ints sum, Ints pairs, Ints sums) { return _mm256_dpwssd_epi32(sum, pairs, sums); }
};

}  // namespace
}  // namespace strata::kernels
