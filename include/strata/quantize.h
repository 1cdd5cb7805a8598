// Owns: rewriting model files: in another weight format, cut into several files, put together again; and importance
// matrices. Knows no device. Every file appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strata/export.h"
#include "strata/result.h"
#include "strata/strata.h"

namespace strata {

/// Gets the share that is done, 0..1; returning false cancels (ErrorCode::cancelled), which leaves no file behind.
/// Called from the calling thread.
using RewriteProgress = std::function<bool(double share)>;

// --- quantising ------------------------------------------------------------------------------------------------------

struct QuantizeOptions {
  std::string type;     ///< one of quantize_types(), in any case
  std::string imatrix;  ///< file of an importance matrix (GGUF, or the older .dat), or ""
  /// Pairs of a regular expression (ECMAScript) and a type such as "Q8_0": a tensor in whose name the expression is
  /// found gets the type; the first match wins. Tensors that are never quantised stay as they are.
  std::vector<std::pair<std::string, std::string>> tensor_types;
  bool allow_requantize = false;  ///< take weights that are quantised already; their error adds to the new one
  bool dry_run = false;           ///< only plan: read no weights, write nothing
  int threads = 0;                ///< 0: one for each physical core. The result does not depend on it
  RewriteProgress progress;
};

struct QuantizedTensor {
  std::string name;
  std::vector<std::uint64_t> shape;   ///< innermost dimension first
  std::string from, to;               ///< types, e.g. "F16", "Q4_K"
  std::uint64_t bytes_before = 0, bytes_after = 0;
  bool fallback = false;    ///< its rows do not fit the blocks of the type that the mixture meant
  bool importance = false;  ///< the importance matrix weighed its errors
};

struct QuantizeReport {
  std::vector<QuantizedTensor> tensors;  ///< in the file's order
  std::uint64_t elements = 0, bytes_before = 0, bytes_after = 0;
  int fallbacks = 0;
  int requantized = 0;  ///< tensors that were quantised before
  int without_importance = 0;  ///< quantised tensors that the importance matrix says nothing about; 0 without one
  double bits_per_weight() const { return elements ? 8.0 * static_cast<double>(bytes_after) / static_cast<double>(elements) : 0; }
};

/// "Q4_K_M", "Q8_0" ...
STRATA_API std::vector<std::string> quantize_types();
/// Reads `in` (for a split, its first file) tensor by tensor and writes `out`, one file, with all metadata. The memory
/// it takes does not grow with the model. Errors: those of opening; invalid_argument for a type or an expression that is
/// wrong, unsupported for a type without a decoder or encoder, bad_file for weights or an imatrix with NaN or of the
/// wrong shape, io when the disk is full.
STRATA_API Result<QuantizeReport> quantize(const std::string& in, const std::string& out, const QuantizeOptions& options);

// --- importance matrices ---------------------------------------------------------------------------------------------

struct ImatrixOptions {
  ModelOptions load;      ///< its max_step is lowered where activations would take much memory
  int chunk = 512;        ///< tokens of a chunk, with its beginning-of-text token; each is read afresh
  int max_chunks = 0;     ///< 0: all that the text fills
  bool output = false;    ///< also the output matrix
  bool special = false;   ///< control tokens that the text spells, such as <|im_start|>, are read as such
  std::string dataset;    ///< what the file says about where the text is from
  RewriteProgress progress;
};

struct ImatrixReport {
  std::uint64_t tokens = 0;  ///< of the text
  int chunks = 0;            ///< evaluated; what is left of the text after the last is not
  int matrices = 0;          ///< for which sums were written
  /// Matrices of experts that the text never chose; a quantiser weighs all their columns alike.
  std::vector<std::string> partial;
};

/// Runs a text through a model and writes, for every matrix, the sums of squares of what each of its columns is
/// multiplied with, in the GGUF layout of llama.cpp's imatrix (`NAME.in_sum2` and `NAME.counts`).
STRATA_API Result<ImatrixReport> make_imatrix(const std::string& model, std::string_view text, const std::string& out,
                                              const ImatrixOptions& options = {});

// --- several files ---------------------------------------------------------------------------------------------------

struct SplitOptions {
  std::uint64_t max_bytes = 0;    ///< of tensor data in a file; a larger tensor gets a file of its own; 0: any
  std::uint64_t max_tensors = 0;  ///< in a file; 0: any
  bool dry_run = false;
  RewriteProgress progress;
};

struct WrittenFile {
  std::string path;
  std::uint64_t tensors = 0;
  std::uint64_t tensor_bytes = 0;
};

/// Writes `prefix`-00001-of-0000N.gguf and so on, the metadata in the first.
STRATA_API Result<std::vector<WrittenFile>> split(const std::string& in, const std::string& prefix, const SplitOptions& options);
/// The opposite: `in` is the first file of a split.
STRATA_API Result<WrittenFile> merge(const std::string& in, const std::string& out, bool dry_run = false,
                                     const RewriteProgress& progress = {});

}  // namespace strata
