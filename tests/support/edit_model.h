// Owns: small model files made from others: fewer blocks, changed matrices, adapters. Knows GGUF's reader and writer.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "gguf/writer.h"

namespace strata::test {

/// Gets a tensor's values, to change them; returning false leaves the tensor out.
using EditTensor = std::function<bool(const gguf::Tensor& tensor, std::vector<float>& values)>;

/// Writes a copy of a file of float32 tensors, with the same metadata but for those given.
void edit_model(const std::string& from, const std::string& to, const EditTensor& edit,
                const std::vector<std::pair<std::string, gguf::WriteValue>>& metadata = {});

/// A low-rank change to one matrix, row-major as GGUF has it: a [rank][inputs], b [outputs][rank], for each expert.
struct Change {
  std::string tensor;
  std::uint64_t inputs, outputs, experts, rank;
  std::vector<float> a, b;
  bool table = false;  ///< the table of tokens, whose a is [vocabulary][rank] and b [embedding][rank]

  /// values += factor * b a.
  void merge(std::vector<float>& values, double factor) const;
};
/// A random change of a tensor of the file.
Change random_change(const gguf::File& file, const std::string& tensor, std::uint64_t rank, unsigned seed);

/// Writes changes as an adapter. `alpha` 0: the file has none.
void write_adapter(const std::string& path, const std::string& architecture, const std::vector<Change>& changes, float alpha);

/// A path in the temporary folder of this process.
std::string temporary_path(const std::string& name);

}  // namespace strata::test
