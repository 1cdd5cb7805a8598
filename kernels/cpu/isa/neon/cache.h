// Owns: attention's words for 64-bit Arm. They mean the same as in scalar/cache.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/isa/neon/vocabulary.h"

namespace strata::kernels {
namespace {

struct NeonCache : Neon {
  // Rows of a cache: 16 bytes of each of `lanes` rows, `stride` elements apart, as columns with a row in each lane.
  static constexpr int direct_queries = 0, key_queries = 4, key_vectors = 4, value_queries = 2, value_vectors = 8;
  /// Words of four bytes.
  template <class Byte>
  static void columns(const Byte* p, std::size_t stride, int32x4_t* out) {
    const auto row = [&](std::size_t r) __attribute__((always_inline)) {
      return vreinterpretq_s32_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(p) + r * stride));
    };
    const int32x4_t a = row(0), b = row(1), c = row(2), d = row(3);
    const int32x4_t ac = vzip1q_s32(a, c), bd = vzip1q_s32(b, d), ac2 = vzip2q_s32(a, c), bd2 = vzip2q_s32(b, d);
    out[0] = vzip1q_s32(ac, bd), out[1] = vzip2q_s32(ac, bd), out[2] = vzip1q_s32(ac2, bd2), out[3] = vzip2q_s32(ac2, bd2);
  }
  static void columns(const float* p, std::size_t stride, F* out) {
    const F a = vld1q_f32(p), b = vld1q_f32(p + stride), c = vld1q_f32(p + 2 * stride), d = vld1q_f32(p + 3 * stride);
    const F ac = vzip1q_f32(a, c), bd = vzip1q_f32(b, d), ac2 = vzip2q_f32(a, c), bd2 = vzip2q_f32(b, d);
    out[0] = vzip1q_f32(ac, bd), out[1] = vzip2q_f32(ac, bd), out[2] = vzip1q_f32(ac2, bd2), out[3] = vzip2q_f32(ac2, bd2);
  }
  static void columns(const formats::Half* p, std::size_t stride, F* out) {
    const auto row = [&](std::size_t r) __attribute__((always_inline)) {
      return vld1q_u16(reinterpret_cast<const std::uint16_t*>(p + r * stride));
    };
    const auto two = [&](uint16x8_t columns, F* to) __attribute__((always_inline)) {
      const float16x8_t halves = vreinterpretq_f16_u16(columns);
      to[0] = vcvt_f32_f16(vget_low_f16(halves));
      to[1] = vcvt_high_f32_f16(halves);
    };
    const uint16x8_t a = row(0), b = row(1), c = row(2), d = row(3);
    const uint16x8_t ac = vzip1q_u16(a, c), bd = vzip1q_u16(b, d), ac2 = vzip2q_u16(a, c), bd2 = vzip2q_u16(b, d);
    two(vzip1q_u16(ac, bd), out);
    two(vzip2q_u16(ac, bd), out + 2);
    two(vzip1q_u16(ac2, bd2), out + 4);
    two(vzip2q_u16(ac2, bd2), out + 6);
  }
  static F strided_halves(const formats::Half* p, std::size_t bytes) {
    const auto at = [&](std::size_t r) __attribute__((always_inline)) {
      formats::Half out;
      std::memcpy(&out, reinterpret_cast<const char*>(p) + r * bytes, sizeof out);
      return out;
    };
    return make(at(0), at(1), at(2), at(3));
  }
  /// The signed byte at bit Shift of each word.
  template <int Shift>
  static F signed_byte(int32x4_t a) {
    if constexpr (Shift < 24) a = vshlq_n_s32(a, 24 - Shift);
    return vcvtq_f32_s32(vshrq_n_s32(a, 24));
  }
  /// The four bits at bit Shift of each word, less 8.
  template <int Shift>
  static F centred_nibble(int32x4_t a) {
    if constexpr (Shift > 0) a = vshrq_n_s32(a, Shift);
    return vcvtq_f32_s32(vsubq_s32(vandq_s32(a, vdupq_n_s32(15)), vdupq_n_s32(8)));
  }
  /// One byte to a lane.
  static F signed_bytes(const std::int8_t* p) {
    std::uint32_t four;
    std::memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))));
  }
  static int32x4_t unsigned_bytes(const std::uint8_t* p) {
    std::uint32_t four;
    std::memcpy(&four, p, sizeof four);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four)))));
  }
  /// Begins to bring a line of memory into the second-level cache. GCC drops calls of functions that do no more than that.
  [[gnu::always_inline]] static void fetch(const void* p) { __builtin_prefetch(p, 0, 2); }
  // Words of four bytes of keys by those of queries.
  static constexpr bool multiplies_bytes = true;
  static constexpr std::int32_t added_to_bytes = 0;
  static int32x4_t add_to_bytes(int32x4_t a) { return a; }
  static int32x4_t load_words(const std::int32_t* p) { return vld1q_s32(p); }
  static void store_words(std::int32_t* p, int32x4_t a) { vst1q_s32(p, a); }
  static int32x4_t set_ints(std::int32_t x) { return vdupq_n_s32(x); }
  static int32x4_t each_word(const std::int8_t* p) {
    std::int32_t four;
    std::memcpy(&four, p, sizeof four);
    return vdupq_n_s32(four);
  }
  static int32x4_t add_dots_of_4(int32x4_t sum, int32x4_t keys, int32x4_t query) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(keys), vreinterpretq_s8_s32(query));
  }
  template <int Shift>
  static int32x4_t nibbles_of_words(int32x4_t a) {
    if constexpr (Shift > 0) a = vshrq_n_s32(a, Shift);
    return vandq_s32(a, vdupq_n_s32(0x0f0f0f0f));
  }

  // Softmax.
  static F max(F a, F b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }  // b when either is NaN
  static float largest(F a) { return vmaxvq_f32(a); }
};

}  // namespace
}  // namespace strata::kernels
