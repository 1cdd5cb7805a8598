// Owns: how many bytes a value of each type takes in a file. Knows nothing else.
#pragma once

#include <cstdint>

#include "gguf/file.h"

namespace strata::gguf {

inline constexpr std::uint32_t kValueTypes = 13;  ///< numbers 0..12 name a type

/// Bytes of a number or a boolean; 0 for strings and arrays, whose size varies.
constexpr std::uint64_t value_size(ValueType type) {
  switch (type) {
    case ValueType::u8: case ValueType::i8: case ValueType::boolean: return 1;
    case ValueType::u16: case ValueType::i16: return 2;
    case ValueType::u32: case ValueType::i32: case ValueType::f32: return 4;
    case ValueType::u64: case ValueType::i64: case ValueType::f64: return 8;
    case ValueType::string: case ValueType::array: return 0;
  }
  return 0;
}

}  // namespace strata::gguf
