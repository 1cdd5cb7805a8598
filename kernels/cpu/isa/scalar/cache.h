// Owns: attention's words in plain C++; the other vocabularies mean the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa/scalar/vocabulary.h"

namespace strata::kernels {
namespace {

struct ScalarCache : Scalar {
  // Rows of a cache: 16 bytes of each of `lanes` rows, `stride` elements apart, as columns with a row in each lane.
  static constexpr int direct_queries = 0, key_queries = 4, key_vectors = 2, value_queries = 1, value_vectors = 8;
  template <class Element>
  static void columns(const Element* p, std::size_t stride, F* out) {
    for (int d = 0; d < static_cast<int>(16 / sizeof(Element)); ++d)
      out[d] = each([&](int r) { return number(p[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(d)]); });
  }
  /// Words of four bytes.
  template <class Byte>
  static void columns(const Byte* p, std::size_t stride, Ints out[4]) {
    for (int r = 0; r < 4; ++r)
      for (int d = 0; d < 4; ++d) std::memcpy(&out[d].v[r], p + static_cast<std::size_t>(r) * stride + 4 * d, 4);
  }
  static F strided_halves(const formats::Half* p, std::size_t bytes) {
    return each([&](int r) {
      formats::Half h;
      std::memcpy(&h, reinterpret_cast<const char*>(p) + static_cast<std::size_t>(r) * bytes, sizeof h);
      return formats::to_float(h);
    });
  }
  /// The signed byte at bit Shift of each word.
  template <int Shift>
  static F signed_byte(Ints a) {
    return each([&](int i) { return static_cast<float>(static_cast<std::int8_t>(a.v[i] >> Shift)); });
  }
  /// The four bits at bit Shift of each word, less 8.
  template <int Shift>
  static F centred_nibble(Ints a) {
    return each([&](int i) { return static_cast<float>((a.v[i] >> Shift & 15) - 8); });
  }
  /// One byte to a lane.
  static F signed_bytes(const std::int8_t* p) {
    return each([&](int i) { return static_cast<float>(p[i]); });
  }
  static Ints unsigned_bytes(const std::uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
  /// Begins to bring a line of memory near.
  [[gnu::always_inline]] static void fetch(const void*) {}
  static constexpr bool multiplies_bytes = false;  ///< fast enough for KeyIntegers

  // Softmax.
  static F max(F a, F b) {  // b when either is NaN
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  static float largest(F a) {
    float out = a.v[0];
    for (int i = 1; i < 4; ++i) out = a.v[i] > out ? a.v[i] : out;
    return out;
  }
};

}  // namespace
}  // namespace strata::kernels
