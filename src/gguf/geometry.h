// Owns: the rules that reader and writer share: limits of the format, the size of a tensor, names of split files.
// Knows tensor types; knows nothing of bytes in a file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/formats/types.h"
#include "strata/result.h"

namespace strata::gguf {

inline constexpr std::uint64_t kMaxKeyBytes = 65535;
inline constexpr std::uint64_t kMaxTensorNameBytes = 64;
inline constexpr std::uint64_t kMaxDims = 4;
inline constexpr std::uint64_t kMaxAlignment = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kMaxShards = 65535;  ///< split.count is a u16

/// A power of two, a multiple of 8, at most 1 MiB.
constexpr bool alignment_is_valid(std::uint64_t alignment) {
  return alignment >= 8 && alignment <= kMaxAlignment && (alignment & (alignment - 1)) == 0;
}

/// Bytes of a tensor's data. Errors name the dimension or type at fault, not the tensor.
Result<std::uint64_t> tensor_bytes(TensorType type, std::span<const std::uint64_t> ne);

/// "-00002-of-00003.gguf" for shard 1 (counted from 0) of 3.
std::string shard_suffix(std::uint64_t shard, std::uint64_t count);

/// A name out of a file, fit for a one-line message: what is not printable ASCII as \xNN, cut after 80 characters.
std::string printable(std::string_view name);

}  // namespace strata::gguf
