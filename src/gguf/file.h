// Owns: reading GGUF v2/v3 files, single and split: bytes -> validated metadata and a tensor directory.
// Knows tensor types and their geometry; knows no architecture, tokenizer or device.
// Source: the GGUF specification (ggml docs/gguf.md). Everything a file says is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/formats/types.h"
#include "strata/result.h"

namespace strata::gguf {

/// The file format's value types.
enum class ValueType : std::uint32_t {
  u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9, u64 = 10, i64 = 11, f64 = 12,
};
const char* name(ValueType type);

/// One metadata value, a view into its File. Conversions accept every type that holds the wanted value exactly
/// (writers differ in the width and sign of integers) and return nothing when the value does not fit. Integers come
/// from integers alone, truth values from booleans and from the integers 0 and 1.
class Value {
 public:
  ValueType type() const { return type_; }
  /// Element type of an array; meaningful when type() == array.
  ValueType element_type() const { return element_type_; }
  /// Elements of an array, else 1.
  std::uint64_t count() const { return count_; }

  std::optional<std::uint64_t> as_unsigned() const;
  std::optional<std::int64_t> as_signed() const;
  std::optional<double> as_float() const;  ///< any number
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;
  /// The data of an array of u8 or i8.
  std::optional<std::span<const std::byte>> as_bytes() const;
  /// Element i (< count()) of an array as a value of its own; nested arrays are refused when a file is opened.
  /// Strings are found by an index that is built once, so this is O(1).
  Value element(std::uint64_t i) const;

 private:
  friend class Reader;
  ValueType type_ = ValueType::u8;
  ValueType element_type_ = ValueType::u8;
  std::uint64_t count_ = 1;
  const std::byte* data_ = nullptr;                        ///< first byte of the value (after a string's length)
  std::uint64_t length_ = 0;                               ///< bytes of a string
  const std::vector<std::string_view>* strings_ = nullptr;  ///< elements of an array of strings
};

struct Entry {
  std::string_view key;
  Value value;
};

/// One tensor of the directory.
struct Tensor {
  std::string_view name;
  TensorType type = TensorType::f32;
  int dims = 1;                              ///< 1..4
  std::array<std::uint64_t, 4> ne = {1, 1, 1, 1};  ///< elements per dimension, ne[0] contiguous; all >= 1
  std::uint64_t bytes = 0;                   ///< bytes of its data
  int shard = 0;                             ///< which file of a split
  std::uint64_t offset = 0;                  ///< of its data, from the start of that file

  std::uint64_t elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
};

struct OpenOptions {
  bool map = true;  ///< map the file; falls back to plain reads where mapping fails
};

/// An opened model file (or all files of a split). Immutable and thread-safe; views live as long as it.
class File {
 public:
  /// Opens `path`; for a split, the path of its first file. Errors name the key, tensor and byte offset.
  static Result<std::shared_ptr<const File>> open(const std::string& path, const OpenOptions& options = {});
  ~File();

  const std::string& path() const;
  std::uint32_t version() const;
  std::uint64_t alignment() const;
  int shards() const;
  std::uint64_t file_bytes() const;  ///< of all shards together

  std::span<const Entry> metadata() const;
  const Value* find(std::string_view key) const;  ///< null when absent
  std::span<const Tensor> tensors() const;
  const Tensor* find_tensor(std::string_view name) const;  ///< null when absent

  /// The tensor's bytes where the file is mapped; an empty span where it is not (then use `read`).
  std::span<const std::byte> mapped(const Tensor& tensor) const;
  /// Copies bytes [offset, offset + out.size()) of the tensor's data.
  Result<void> read(const Tensor& tensor, std::uint64_t offset, std::span<std::byte> out) const;

 private:
  struct State;
  explicit File(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace strata::gguf
