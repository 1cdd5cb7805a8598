// Owns: what stands behind the public handles Model, Session and Tokenizer.
#pragma once

#include <optional>
#include <vector>

#include "runtime/engine.h"
#include "runtime/profile.h"
#include "strata/strata.h"
#include "text/tokenizer.h"

namespace strata {

struct Tokenizer::State {
  std::shared_ptr<const gguf::File> file;  ///< the vocabulary's views look into it
  std::unique_ptr<text::Tokenizer> tokenizer;
};

namespace runtime {
/// The tokenizer of an opened file.
Result<Tokenizer> make_tokenizer(std::shared_ptr<const gguf::File> file);
/// A number for what a file holds: its metadata, its directory of tensors, and the beginning of each tensor's data.
Result<std::uint64_t> fingerprint(const gguf::File& file);
/// Opens and summarises; `load` of the public API with devices already opened.
Result<Model> load_model(const std::string& path, std::vector<Placement> placement, const ModelOptions& options,
                         Watch watch = {});
}  // namespace runtime

struct Model::State {
  std::shared_ptr<runtime::Engine> engine;
  ModelSummary summary;
  std::string device;
  std::optional<Tokenizer> tokenizer;
  std::optional<Error> tokenizer_error;
  Result<ChatTemplate> chat_template = Error{ErrorCode::unsupported, "the model has no chat template"};
};

struct Adapter::State {
  std::shared_ptr<const gguf::File> file;
  std::shared_ptr<runtime::Engine> engine;  ///< of the model it was loaded for
  std::uint64_t fingerprint = 0;
};

struct Session::State {
  explicit State(Model m) : model(std::move(m)) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// The sequence holds `length` tokens now; the logits stay known where those of the prompt's end are kept.
  void shorten(int length);
  /// A turn that comes back changed after `common` of `given` tokens shows how long before a prompt's end that happens.
  void learn_lead(std::size_t common, std::size_t given);

  Model model;
  std::shared_ptr<runtime::Engine> engine;
  int context = 0;
  std::shared_ptr<runtime::Pass> pass, hidden;  ///< with logits; for hidden states alone, once asked for
  std::vector<Token> tokens;
  std::vector<float> logits;  ///< after the last token, or empty

  // Where the next turn of a conversation is likely to differ from this one.
  static constexpr int kMaxLead = 64;
  int prompt_end = 0;                ///< tokens of the last prompt that was generated from
  std::vector<float> prompt_logits;  ///< after it
  std::optional<runtime::Profiler> profiler;  ///< while somebody wants a profile
  int lead = 4;  ///< how long before a prompt's end the next turn may differ: the tokens that open a thought; learned
  std::optional<runtime::Sequence> sequence;
};

}  // namespace strata
