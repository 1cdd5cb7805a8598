// Owns: Adapter: reading low-rank adapters and checking that they fit a model; putting them on a session. Knows GGUF and
// the engine; no graph.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "runtime/state.h"

namespace strata {

namespace {

constexpr std::size_t kMaxAdapters = 64;  // on one session

std::string text_of(const gguf::File& file, std::string_view key) {
  const gguf::Value* value = file.find(key);
  return value ? std::string(value->as_string().value_or("")) : "";
}

Result<void> check_kind(const gguf::File& file, const std::string& architecture) {
  auto wrong = [&](std::string_view key, std::string_view wanted) {
    return fail(ErrorCode::bad_file, file.path(), ": ", key, " is \"", text_of(file, key), "\" where \"", wanted, "\" is needed");
  };
  if (text_of(file, "general.type") != "adapter") return wrong("general.type", "adapter");
  if (text_of(file, "adapter.type") != "lora") return wrong("adapter.type", "lora");
  if (text_of(file, "general.architecture") != architecture) return wrong("general.architecture", architecture);
  if (file.find("adapter.alora.invocation_tokens"))
    return fail(ErrorCode::unsupported, file.path(), ": adapter.alora.invocation_tokens: adapters that begin at a token are not known here");
  if (const gguf::Value* alpha = file.find("adapter.lora.alpha"); alpha && !std::isfinite(alpha->as_float().value_or(NAN)))
    return fail(ErrorCode::bad_file, file.path(), ": adapter.lora.alpha: not a finite number");
  return {};
}

/// A [inputs, rank, .] and B [rank, outputs, .] for W [inputs, outputs, .]; for the table of tokens A is [rank, vocab].
Result<void> check_pair(const gguf::File& file, const gguf::Tensor& w, const gguf::Tensor& a, const gguf::Tensor& b) {
  const bool table = w.name == "token_embd.weight";
  const bool fits = (table ? a.ne[1] == w.ne[1] && b.ne[1] == w.ne[0] && a.ne[0] == b.ne[0]
                           : a.ne[0] == w.ne[0] && b.ne[1] == w.ne[1] && a.ne[1] == b.ne[0]) &&
                    std::equal(w.ne.begin() + 2, w.ne.end(), a.ne.begin() + 2) && std::equal(w.ne.begin() + 2, w.ne.end(), b.ne.begin() + 2);
  if (fits) return {};
  auto shape = [](const gguf::Tensor& t) { return str("[", t.ne[0], ", ", t.ne[1], t.ne[2] > 1 ? str(", ", t.ne[2]) : "", "]"); };
  return fail(ErrorCode::bad_file, file.path(), ": ", a.name, " ", shape(a), " and ", b.name, " ", shape(b), " do not fit ", w.name, " ",
              shape(w));
}

Result<void> check_tensors(const gguf::File& file, const gguf::File& model) {
  for (const gguf::Tensor& tensor : file.tensors()) {
    const bool is_a = tensor.name.ends_with(".lora_a");
    if (!is_a && !tensor.name.ends_with(".lora_b"))
      return fail(ErrorCode::bad_file, file.path(), ": ", tensor.name, ": ends neither with .lora_a nor with .lora_b");
    const std::string name(tensor.name.substr(0, tensor.name.size() - 7));
    const gguf::Tensor* w = model.find_tensor(name);
    if (!w) return fail(ErrorCode::bad_file, file.path(), ": ", tensor.name, ": the model has no ", name);
    const std::string other = name + (is_a ? ".lora_b" : ".lora_a");
    const gguf::Tensor* partner = file.find_tensor(other);
    if (!partner) return fail(ErrorCode::bad_file, file.path(), ": ", tensor.name, ": there is no ", other);
    if (name == "token_embd.weight" && !model.find_tensor("output.weight"))
      return fail(ErrorCode::unsupported, file.path(), ": ", tensor.name,
                  ": the model's output is the same table, and an adapter cannot change it there; merge it into the model");
    if (is_a)
      if (auto fits = check_pair(file, *w, tensor, *partner); !fits) return fits;
  }
  if (file.tensors().empty()) return fail(ErrorCode::bad_file, file.path(), ": the adapter holds no tensors");
  return {};
}

}  // namespace

Result<Adapter> Adapter::load(const Model& model, const std::string& path) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  auto state = std::make_shared<State>();
  state->file = *file;
  state->engine = model.state()->engine;
  if (auto kind = check_kind(**file, state->engine->blueprint().architecture); !kind) return kind.error();
  if (auto fits = check_tensors(**file, state->engine->file()); !fits) return fits.error();
  const models::Adapter whole[] = {{file->get(), 1.0f}};
  if (auto built = models::build(state->engine->file(), whole); !built) return built.error();
  auto number = runtime::fingerprint(**file);
  if (!number) return number.error();
  state->fingerprint = *number;
  return Adapter(std::move(state));
}

const std::string& Adapter::path() const { return state_->file->path(); }
int Adapter::tensors() const { return static_cast<int>(state_->file->tensors().size() / 2); }

Result<void> Session::set_adapters(std::span<const AdapterUse> adapters) {
  State& state = *state_;
  if (adapters.size() > kMaxAdapters)
    return fail(ErrorCode::invalid_argument, adapters.size(), " adapters; a session takes at most ", kMaxAdapters);
  std::vector<runtime::PassAdapter> used;
  for (const AdapterUse& use : adapters) {
    const Adapter::State& adapter = *use.adapter.state();
    if (adapter.engine != state.engine)
      return fail(ErrorCode::invalid_argument, adapter.file->path(), ": the adapter was loaded for another model");
    if (!std::isfinite(use.scale)) return fail(ErrorCode::invalid_argument, adapter.file->path(), ": scale ", use.scale, " is not finite");
    if (use.scale != 0) used.push_back({adapter.file, adapter.fingerprint, use.scale});
  }
  auto pass = state.engine->adapted_pass(used);
  if (!pass) return pass.error();
  if (*pass == state.pass) return {};
  if (auto forgotten = truncate(0); !forgotten) return forgotten;
  state.hidden.reset();
  state.pass = *pass;
  return {};
}

}  // namespace strata
