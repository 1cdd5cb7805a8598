// Owns: looking into a model file without loading it, and making files of random weights. Knows no session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "strata/export.h"
#include "strata/result.h"

namespace strata {

/// A metadata value; integers of every width become 64-bit.
using MetadataValue =
    std::variant<bool, std::int64_t, std::uint64_t, double, std::string, std::vector<bool>, std::vector<std::int64_t>,
                 std::vector<std::uint64_t>, std::vector<double>, std::vector<std::string>>;

struct MetadataEntry {
  std::string key;
  std::string type;  ///< "u32", "array[string]"
  MetadataValue value;
};

struct TensorEntry {
  std::string name;
  std::string type;                  ///< "Q4_K"
  std::vector<std::uint64_t> shape;  ///< innermost dimension first
  std::uint64_t bytes = 0;
  int file = 0;                      ///< index in a split
};

/// What a model is, read from its file alone.
struct ModelSummary {
  std::string architecture;
  std::string name;                 ///< general.name, or ""
  std::string quantisation;         ///< the type that most weight bytes have, e.g. "Q4_K"
  std::uint64_t parameters = 0;     ///< of all tensors
  std::uint64_t active_parameters = 0;  ///< that one token uses (chosen experts only), without the embedding table
  std::uint64_t tensor_bytes = 0;
  std::uint64_t decode_bytes = 0;   ///< of weights read to decode one token
  /// Cache of the layers that look back without end, and of those with a window, which keep its positions only. Twice
  /// that with KvType::f32.
  std::uint64_t kv_bytes_per_token_f16 = 0, window_kv_bytes_per_token_f16 = 0;
  int window = 0;                            ///< positions, the longest of the layers that have one; 0: there is none
  std::uint64_t recurrent_bytes = 0;         ///< per sequence
  int layers = 0;
  int mtp_layers = 0;               ///< multi-token-prediction blocks beside them
  int embedding_length = 0;
  int context_length = 0;
  int vocabulary = 0;
  std::string chat_template;        ///< or ""
};

/// An opened GGUF file. Cheap to copy; thread-safe.
class STRATA_API ModelFile {
 public:
  static Result<ModelFile> open(const std::string& path);
  std::uint32_t gguf_version() const;
  std::uint64_t file_bytes() const;
  int files() const;  ///< 1, or the number of files of a split
  std::vector<MetadataEntry> metadata() const;
  std::vector<TensorEntry> tensors() const;
  /// The whole tensor as float32, innermost dimension contiguous. Errors: not_found, unsupported, io.
  Result<std::vector<float>> read(const std::string& tensor) const;
  /// Errors when the architecture is unknown or a key or tensor it needs is missing or wrong.
  Result<ModelSummary> summary() const;

  struct State;

 private:
  explicit ModelFile(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// A file of random weights in the exact shape of a model that people run, so that a benchmark needs no download.
struct MakeModelOptions {
  std::string like;          ///< one of make_model_shapes()
  std::string type = "Q4_K_M";  ///< one of make_model_types(): a weight format for all matrices, or a mixture (see quantize.h)
  std::string out;
  int layers = 0;            ///< only the first so many; 0: all
  bool mtp = false;          ///< with the block for multi-token prediction, of models that have one
  bool dry_run = false;      ///< only plan: write nothing
  std::uint64_t seed = 1;    ///< the same seed gives the same file
  /// Gets bytes written and in all; returning false cancels and leaves no file.
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress;
};
struct MakeModelReport {
  std::vector<TensorEntry> tensors;  ///< in the file's order
  std::uint64_t parameters = 0, bytes = 0;  ///< of all tensors
  int layers = 0;
};
STRATA_API std::vector<std::string> make_model_shapes();
STRATA_API std::vector<std::string> make_model_types();
STRATA_API Result<MakeModelReport> make_model(const MakeModelOptions& options);

}  // namespace strata
