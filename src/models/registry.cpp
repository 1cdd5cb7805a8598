// Owns: the table of architectures and what they share: reading the common keys, binding, the output head.
#include <algorithm>

#include "base/text.h"
#include "models/architecture.h"
#include "models/drafter.h"

namespace strata::models {

/// One row for each architecture: its `general.architecture` and the function in the file of that name.
#define STRATA_ARCHITECTURES(row) \
  row("deepseek2", build_deepseek2) \
  row("gemma2", build_gemma2) \
  row("gemma3", build_gemma3) \
  row("gemma3n", build_gemma3n) \
  row("gemma4", build_gemma4) \
  row("glm4moe", build_glm4moe) \
  row("gpt-oss", build_gpt_oss) \
  row("granite", build_granite) \
  row("lfm2", build_lfm2) \
  row("llama", build_llama) \
  row("llama4", build_llama4) \
  row("mistral3", build_mistral3) \
  row("olmoe", build_olmoe) \
  row("phi3", build_phi3) \
  row("qwen2", build_qwen2) \
  row("qwen2moe", build_qwen2moe) \
  row("qwen3", build_qwen3) \
  row("qwen3moe", build_qwen3moe) \
  row("qwen35", build_qwen35) \
  row("qwen35moe", build_qwen35moe) \
  row("qwen3next", build_qwen3next)

#define STRATA_DECLARE(name, build) void build(graph::Graph&, const Keys&, const Weights&, const Common&);
STRATA_ARCHITECTURES(STRATA_DECLARE)
#undef STRATA_DECLARE

namespace {

#define STRATA_ROW(name, build) {name, build},
constexpr Architecture kArchitectures[] = {STRATA_ARCHITECTURES(STRATA_ROW)};
#undef STRATA_ROW

std::string known() {
  std::string out;
  for (const Architecture& a : kArchitectures) out += str(out.empty() ? "" : ", ", a.name);
  return out;
}

Common read_common(const Keys& keys) {
  constexpr int kMaxLayers = 4096;
  Common c;
  int blocks = keys.integer("block_count", 1, kMaxLayers);
  c.mtp_layers = keys.integer("nextn_predict_layers", 0, kMaxLayers, 0);
  c.layers = blocks - c.mtp_layers;
  if (c.layers < 1)
    keys.reject(fail(ErrorCode::bad_file, keys.full("nextn_predict_layers"), ": ", c.mtp_layers, " of ", blocks,
                     " blocks leaves no main block"));
  c.context_length = keys.integer("context_length", 1, 1 << 30);
  c.embedding_length = keys.integer("embedding_length", 1, 1 << 24);
  c.eps = keys.number("attention.layer_norm_rms_epsilon");
  return c;
}

/// `tokenizer.ggml.suppress_tokens`: tokens that the model must not write, such as those that stand for images.
Result<std::vector<int>> read_suppressed(const gguf::File& file, std::size_t vocabulary) {
  constexpr const char* kKey = "tokenizer.ggml.suppress_tokens";
  std::vector<int> out;
  const gguf::Value* value = file.find(kKey);
  if (!value) return out;
  if (value->type() != gguf::ValueType::array || value->count() > vocabulary)
    return fail(ErrorCode::bad_file, file.path(), ": ", kKey, ": no array of at most ", vocabulary, " tokens");
  for (std::uint64_t i = 0; i < value->count(); ++i) {
    const auto token = value->element(i).as_signed();
    if (!token || *token < 0 || static_cast<std::uint64_t>(*token) >= vocabulary)
      return fail(ErrorCode::bad_file, file.path(), ": ", kKey, ": value ", i, " is no token below ", vocabulary);
    out.push_back(static_cast<int>(*token));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

void output_head(graph::Graph& g, const Weights& w, graph::Tensor x, float eps, std::string_view norm) {
  g.hidden = g.rms_norm(g.gather(x), w(norm), eps);
  graph::Weight output = w.optional("output");
  g.logits = g.linear(g.hidden, output ? output : w("token_embd"), w.bias("output"));
}

Result<std::unique_ptr<Blueprint>> build(const gguf::File& file, std::span<const Adapter> adapters) {
  const gguf::Value* value = file.find("general.architecture");
  auto name = value ? value->as_string() : std::nullopt;
  if (!name) return fail(ErrorCode::bad_file, file.path(), ": general.architecture: missing or no string");
  const Architecture* architecture = nullptr;
  for (const Architecture& a : kArchitectures)
    if (*name == a.name) architecture = &a;
  if (is_drafter(*name))
    return fail(ErrorCode::unsupported, file.path(), ": architecture \"", *name,
                "\" drafts for another model and cannot speak for itself; give the model's own file");
  if (!architecture)
    return fail(ErrorCode::unsupported, file.path(), ": architecture \"", *name, "\" is not known; known are ", known());

  auto blueprint = std::make_unique<Blueprint>();
  blueprint->architecture = architecture->name;
  Keys keys(file, architecture->name);
  blueprint->common = read_common(keys);
  if (keys.error()) return *keys.error();
  const Common& c = blueprint->common;
  blueprint->graph.layers = c.layers;
  Bindings bindings{file, blueprint->graph, adapters, {}, {}, {}, {}, {}};
  Weights weights(bindings);
  architecture->build(blueprint->graph, keys, weights, c);
  for (int layer = c.layers; layer < c.layers + c.mtp_layers; ++layer) weights.block(layer).keep_all();
  if (auto fine = finish(bindings, keys, *blueprint); !fine) return fine.error();
  if (auto adapted = bindings.check_adapters(); !adapted) return adapted.error();
  const graph::Graph& g = blueprint->graph;
  if (g.info(g.hidden).width() != static_cast<std::size_t>(c.embedding_length))
    return fail(ErrorCode::bad_file, keys.full("embedding_length"), ": ", c.embedding_length, " where token_embd.weight has rows of ",
                g.info(g.hidden).width());
  auto suppressed = read_suppressed(file, g.info(g.logits).width());
  if (!suppressed) return suppressed.error();
  blueprint->suppressed = std::move(*suppressed);
  return blueprint;
}

Result<void> finish(Bindings& bindings, const Keys& keys, Blueprint& blueprint) {
  const std::optional<Error>& error = blueprint.graph.error();
  // Missing names first: they explain the graph's own error.
  if (!bindings.missing.empty())
    if (auto bound = bindings.check(); !bound) return bound;
  if (keys.error()) return *keys.error();
  if (error) return Error{error->code, str(bindings.file.path(), ": ", error->message)};
  if (auto bound = bindings.check(); !bound) return bound;
  blueprint.tensors = std::move(bindings.tensors);
  blueprint.kept = std::move(bindings.kept);
  return {};
}

}  // namespace strata::models
