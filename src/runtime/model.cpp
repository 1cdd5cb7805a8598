// Owns: Model: loading a file onto devices, its summary and its chat template. Knows the engine and text.
#include "base/text.h"
#include "runtime/chat.h"
#include "runtime/state.h"
#include "runtime/summary.h"

namespace strata {

namespace runtime {

Result<Model> load_model(const std::string& path, std::vector<Placement> placement, const ModelOptions& options,
                         Watch watch) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  auto state = std::make_shared<Model::State>();
  for (const Placement& place : placement) {
    if (!state->device.empty()) state->device += ",";
    state->device += place.device->info().id;
  }
  auto engine = Engine::load(*file, std::move(placement), options, std::move(watch));
  if (!engine) return engine.error();
  state->engine = std::move(*engine);
  state->summary = summarise(state->engine->blueprint(), **file);
  state->chat_template = make_chat_template(**file);
  auto tokenizer = make_tokenizer(*file);
  if (tokenizer) {
    state->tokenizer = std::move(*tokenizer);
  } else {
    state->tokenizer_error = tokenizer.error();
    if (options.log) options.log(LogLevel::warning, str("text is not available: ", tokenizer.error().message));
  }
  return Model(std::move(state));
}

}  // namespace runtime

static backend::Affinity affinity(Affinity affinity) {
  switch (affinity) {
    case Affinity::automatic: break;
    case Affinity::off: return backend::Affinity::off;
    case Affinity::cores: return backend::Affinity::cores;
  }
  return backend::Affinity::automatic;
}

Result<Model> Model::load(const std::string& path, const ModelOptions& options) {
  // The file first: a wrong path is the likelier mistake, and opening it is cheap.
  if (auto file = gguf::File::open(path); !file) return file.error();
  auto placement = runtime::open_placement(options.device, {options.threads, options.isa, affinity(options.affinity)});
  if (!placement) return placement.error();
  return runtime::load_model(path, std::move(*placement), options);
}

const ModelSummary& Model::summary() const { return state_->summary; }
const std::string& Model::device() const { return state_->device; }
const Tokenizer* Model::tokenizer() const { return state_->tokenizer ? &*state_->tokenizer : nullptr; }
const Error* Model::tokenizer_error() const { return state_->tokenizer_error ? &*state_->tokenizer_error : nullptr; }
Pages Model::pages() const { return state_->engine->pages(); }
std::uint64_t Model::weight_bytes() const { return state_->engine->weight_bytes(); }
std::uint64_t Model::activation_bytes() const { return state_->engine->activation_bytes(); }

const Result<ChatTemplate>& Model::chat_template() const { return state_->chat_template; }
Result<ChatPrompt> Model::format_chat(std::span<const Message> messages, const ChatOptions& options) const {
  if (!state_->chat_template) return state_->chat_template.error();
  return state_->chat_template->render(messages, options);
}

}  // namespace strata
