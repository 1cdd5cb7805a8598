// Owns: what every command that rewrites a file does first: opening it, passing its metadata on, looking where it
// writes to. Knows GGUF; knows no type of weights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "gguf/writer.h"
#include "strata/quantize.h"

namespace strata::rewrite {

/// Opened for plain reads: what was read does not stay in memory.
Result<std::shared_ptr<const gguf::File>> open_source(const std::string& path);
/// All metadata and the alignment.
void copy_metadata(const gguf::File& from, gguf::Writer& to);
/// A tensor that is written as it is.
gguf::WriteTensor copy_tensor(const std::shared_ptr<const gguf::File>& file, const gguf::Tensor& tensor);
/// An error where a path names a file that `from` is read from, or where there is too little room for `bytes`.
Result<void> check_targets(const gguf::File& from, const std::vector<std::string>& paths, std::uint64_t bytes);

}  // namespace strata::rewrite
