// Owns: writing GGUF v3 files, single and split. Knows tensor types; knows no architecture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/formats/types.h"
#include "strata/result.h"

namespace strata::gguf {

class Value;

/// A metadata value to write. Vectors become arrays of the matching type (bool vectors are given as bytes 0/1).
struct Flags { std::vector<std::uint8_t> values; };  ///< an array of booleans
using WriteValue =
    std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t, float, bool, std::string,
                 std::uint64_t, std::int64_t, double, std::vector<std::uint8_t>, std::vector<std::int8_t>,
                 std::vector<std::uint16_t>, std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                 std::vector<float>, std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>,
                 std::vector<std::string>, Flags>;

/// A value read from a file, to be written with the same type. Owns its bytes.
WriteValue copy(const Value& value);

/// Hands out a tensor's data in order, in pieces of any size: called repeatedly with a buffer to fill completely.
using TensorSource = std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)>;

struct WriteTensor {
  std::string name;
  TensorType type = TensorType::f32;
  std::vector<std::uint64_t> ne;  ///< 1..4 dimensions, ne[0] contiguous
  TensorSource source;
};

/// What a file of a split may hold; 0: any number. A tensor of more bytes gets a file of its own.
struct SplitLimits {
  std::uint64_t max_bytes = 0;  ///< of tensor data
  std::uint64_t max_tensors = 0;
};

/// A file of a split.
struct ShardPlan {
  std::string path;
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;  ///< of tensor data
};

/// Collects metadata and tensors, then writes them in order. The file appears under its name only when complete.
/// `general.alignment` and the `split.*` keys are the writer's: what `set` gives for them is replaced or left out, so that
/// the metadata of any opened file can be passed on.
class Writer {
 public:
  void set(std::string key, WriteValue value);  ///< replaces a value of the same key, keeping its place
  void add(WriteTensor tensor);
  void set_alignment(std::uint32_t alignment) { alignment_ = alignment; }

  /// `progress` gets bytes done and bytes in all; returning false cancels and leaves no file.
  using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;
  Result<void> write(const std::string& path, const Progress& progress = {}) const;
  /// What stands before the tensors' data, whose bytes with all padding are `data`.
  struct Head {
    std::string bytes;
    std::uint64_t data;
  };
  Result<Head> head() const;
  /// Writes prefix-00001-of-0000N.gguf ..., metadata in the first.
  Result<std::vector<ShardPlan>> write_split(const std::string& prefix, const SplitLimits& limits,
                                             const Progress& progress = {}) const;
  /// What `write_split` would write; no source is asked.
  Result<std::vector<ShardPlan>> plan_split(const std::string& prefix, const SplitLimits& limits) const;

 private:
  std::uint32_t alignment_ = 32;
  std::vector<std::pair<std::string, WriteValue>> values_;
  std::map<std::string, std::size_t> value_at_;  ///< by key
  std::vector<WriteTensor> tensors_;
};

}  // namespace strata::gguf
