// Owns: one file of a model, opened and validated. Knows the file's layout; knows nothing of splits or architectures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/platform.h"
#include "gguf/file.h"

namespace strata::gguf {

struct Shard {
  std::string path;
  std::unique_ptr<platform::InputFile> file;
  std::span<const std::byte> mapping;  ///< the whole file; empty where it is not mapped
  platform::Pages header;              ///< the bytes before the tensor data, where the file is not mapped
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::vector<Entry> entries;          ///< in the file's order, as are the tensors
  std::vector<std::unique_ptr<std::vector<std::string_view>>> strings;  ///< one index per array of strings
  std::vector<Tensor> tensors;         ///< Tensor::shard is 0
};

/// Opens and checks one file. Keys and tensor names in it are unique, tensors lie inside it and share no byte.
Result<Shard> read_shard(const std::string& path, bool map);

/// The indices 0..count-1 ordered by `less(i, j)`, equal ones in rising order. Sorting, unlike hashing, has no input that
/// makes it slow.
template <class Less>
std::vector<std::uint32_t> sorted_indices(std::size_t count, Less less) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

}  // namespace strata::gguf
