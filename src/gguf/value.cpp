// Owns: metadata values: what they are called and how they convert. Knows the layout of a value, not of a file.
#include <bit>
#include <cassert>
#include <cstring>
#include <limits>

#include "gguf/file.h"
#include "gguf/value_size.h"

namespace strata::gguf {

// Values are copied out of the file as they lie there.
static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

namespace {

/// Values lie at any address.
template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Calls `use` with the number in its own type, widened to 64 bits; false for a type that is no integer.
template <class Use>
bool with_integer(ValueType type, const std::byte* data, Use use) {
  switch (type) {
    case ValueType::u8: return use(std::uint64_t{load<std::uint8_t>(data)}), true;
    case ValueType::u16: return use(std::uint64_t{load<std::uint16_t>(data)}), true;
    case ValueType::u32: return use(std::uint64_t{load<std::uint32_t>(data)}), true;
    case ValueType::u64: return use(load<std::uint64_t>(data)), true;
    case ValueType::i8: return use(std::int64_t{load<std::int8_t>(data)}), true;
    case ValueType::i16: return use(std::int64_t{load<std::int16_t>(data)}), true;
    case ValueType::i32: return use(std::int64_t{load<std::int32_t>(data)}), true;
    case ValueType::i64: return use(load<std::int64_t>(data)), true;
    default: return false;
  }
}

}  // namespace

const char* name(ValueType type) {
  switch (type) {
    case ValueType::u8: return "u8";
    case ValueType::i8: return "i8";
    case ValueType::u16: return "u16";
    case ValueType::i16: return "i16";
    case ValueType::u32: return "u32";
    case ValueType::i32: return "i32";
    case ValueType::f32: return "f32";
    case ValueType::boolean: return "bool";
    case ValueType::string: return "string";
    case ValueType::array: return "array";
    case ValueType::u64: return "u64";
    case ValueType::i64: return "i64";
    case ValueType::f64: return "f64";
  }
  return "?";
}

std::optional<std::uint64_t> Value::as_unsigned() const {
  std::optional<std::uint64_t> result;
  with_integer(type_, data_, [&](auto number) {
    if (number >= 0) result = static_cast<std::uint64_t>(number);
  });
  return result;
}

std::optional<std::int64_t> Value::as_signed() const {
  std::optional<std::int64_t> result;
  with_integer(type_, data_, [&](auto number) {
    if (static_cast<std::int64_t>(number) >= 0 || std::is_signed_v<decltype(number)>)
      result = static_cast<std::int64_t>(number);
  });
  return result;
}

std::optional<double> Value::as_float() const {
  if (type_ == ValueType::f32) return load<float>(data_);
  if (type_ == ValueType::f64) return load<double>(data_);
  std::optional<double> result;
  with_integer(type_, data_, [&](auto number) { result = static_cast<double>(number); });
  return result;
}

std::optional<bool> Value::as_bool() const {
  if (type_ == ValueType::boolean) return load<std::uint8_t>(data_) != 0;
  const auto number = as_unsigned();
  if (!number || *number > 1) return std::nullopt;
  return *number == 1;
}

std::optional<std::string_view> Value::as_string() const {
  if (type_ != ValueType::string) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(data_), static_cast<std::size_t>(length_));
}

std::optional<std::span<const std::byte>> Value::as_bytes() const {
  if (type_ != ValueType::array || (element_type_ != ValueType::u8 && element_type_ != ValueType::i8)) return std::nullopt;
  return std::span(data_, static_cast<std::size_t>(count_));
}

Value Value::element(std::uint64_t i) const {
  assert(type_ == ValueType::array && i < count_);
  Value result;
  result.type_ = element_type_;
  if (element_type_ == ValueType::string) {
    const std::string_view text = (*strings_)[static_cast<std::size_t>(i)];
    result.data_ = reinterpret_cast<const std::byte*>(text.data());
    result.length_ = text.size();
  } else {
    result.data_ = data_ + i * value_size(element_type_);
  }
  return result;
}

}  // namespace strata::gguf
