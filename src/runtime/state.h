// Owns: what stands behind the public handles Model, Session and Tokenizer.
#pragma once

#include <optional>
#include <vector>

#include "runtime/engine.h"
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
/// Opens and summarises; `load` of the public API with devices already opened.
Result<Model> load_model(const std::string& path, std::vector<Placement> placement, const ModelOptions& options);
}  // namespace runtime

struct Model::State {
  std::shared_ptr<runtime::Engine> engine;
  ModelSummary summary;
  std::string device;
  std::optional<Tokenizer> tokenizer;
  std::optional<Error> tokenizer_error;
};

struct Session::State {
  explicit State(Model m) : model(std::move(m)) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Model model;
  std::shared_ptr<runtime::Engine> engine;
  int context = 0;
  std::vector<Token> tokens;
  std::vector<float> logits;  ///< after the last token, or empty
  std::optional<runtime::Sequence> sequence;
};

}  // namespace strata
