// Owns: one tensor's way from one format to another, in pieces, on several threads. Knows files and formats; knows no
// mixture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "gguf/file.h"
#include "kernels/formats/list.h"
#include "strata/result.h"

namespace strata::rewrite {

/// Hands out a tensor's bytes in another format, in order. Holds a few megabytes for each thread.
class Recoder {
 public:
  /// `importance`: empty, or for each matrix of ne[0] columns its weights, [ne[2] * ne[3]][ne[0]]. `advance` gets the
  /// number of elements that were done and returns false to cancel. Everything outlives the recoder.
  Recoder(const gguf::File& file, const gguf::Tensor& tensor, const formats::Format& from, const formats::Format& to,
          std::span<const float> importance, int threads, const std::function<bool(std::uint64_t)>& advance);

  /// Fills `out` from where the last call ended.
  Result<void> next(std::span<std::byte> out);

 private:
  Result<void> fill();
  Result<void> recode(std::uint64_t first, std::size_t count, std::byte* out) const;
  Result<void> check(std::span<const float> values, std::uint64_t first, const std::byte* encoded) const;

  const gguf::File& file_;
  const gguf::Tensor& tensor_;
  const formats::Format& from_;
  const formats::Format& to_;
  std::span<const float> importance_;
  int threads_;
  const std::function<bool(std::uint64_t)>& advance_;
  std::size_t job_;            ///< elements, a multiple of both blocks
  std::uint64_t element_ = 0;  ///< next to be read
  std::vector<std::byte> ready_;
  std::size_t taken_ = 0;      ///< bytes of ready_
};

}  // namespace strata::rewrite
