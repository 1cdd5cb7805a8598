// Owns: importance matrices in files: llama.cpp's GGUF layout, written and read, and its older .dat, read. Knows no
// model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "strata/result.h"

namespace strata::rewrite {

/// What one matrix was multiplied with: for each expert (a dense matrix is one) the sums of squares of its columns and
/// how many vectors were added up.
struct ColumnSums {
  std::vector<double> squares;  ///< [experts][columns]
  std::vector<double> counts;   ///< [experts], or one for all
};

struct Importance {
  std::map<std::string, ColumnSums> matrices;  ///< by the tensor's name
  std::vector<std::string> datasets;
  std::uint32_t chunks = 0, chunk = 0;  ///< how many, and their tokens; 0 where the file does not say

  /// Mean squares [experts][columns]; all ones for an expert that was never used. Empty where there is no such matrix.
  std::vector<float> weights(const std::string& tensor) const;
};

/// Errors name what is wrong with which entry. Every number is finite and not negative.
Result<Importance> read_importance(const std::string& path);
Result<void> write_importance(const Importance& importance, const std::string& path);

}  // namespace strata::rewrite
