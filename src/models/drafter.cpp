// Owns: the table of drafters, and binding one to the model it drafts for. Knows no backend.
#include "models/drafter.h"

#include "base/text.h"

namespace strata::models {

void build_gemma4_assistant(graph::Graph&, const Keys&, const Weights&, const Common&, const DraftInputs&);

namespace {

constexpr DraftArchitecture kDrafters[] = {{"gemma4-assistant", build_gemma4_assistant}};

const DraftArchitecture* find_drafter(std::string_view name) {
  for (const DraftArchitecture& drafter : kDrafters)
    if (name == drafter.name) return &drafter;
  return nullptr;
}

/// All of a drafter's blocks are its own, however many of them the file counts as blocks for prediction.
Common read_draft_common(const Keys& keys) {
  Common c;
  c.layers = keys.integer("block_count", 1, 4096);
  c.context_length = keys.integer("context_length", 1, 1 << 30);
  c.embedding_length = keys.integer("embedding_length", 1, 1 << 24);
  c.eps = keys.number("attention.layer_norm_rms_epsilon");
  return c;
}

}  // namespace

bool is_drafter(std::string_view architecture) { return find_drafter(architecture) != nullptr; }

Result<std::unique_ptr<DraftBlueprint>> build_drafter(const gguf::File& file, const Blueprint& model) {
  const gguf::Value* value = file.find("general.architecture");
  auto name = value ? value->as_string() : std::nullopt;
  const DraftArchitecture* architecture = name ? find_drafter(*name) : nullptr;
  if (!architecture)
    return fail(ErrorCode::unsupported, file.path(), ": general.architecture: \"", name.value_or(""), "\" is no drafter; known is ",
                kDrafters[0].name);

  auto draft = std::make_unique<DraftBlueprint>();
  Blueprint& blueprint = draft->blueprint;
  blueprint.architecture = architecture->name;
  Keys keys(file, architecture->name);
  const Common& c = blueprint.common = read_draft_common(keys);
  if (keys.error()) return *keys.error();
  graph::Graph& g = blueprint.graph;
  g.layers = c.layers;
  g.kv_layers = model.graph.kv_layers;
  Bindings bindings{file, g, {}, {}, {}, {}, {}, {}};

  DraftInputs in;
  in.width = model.common.embedding_length;
  if (const int width = keys.integer("embedding_length_out", 1, 1 << 24, in.width); width != in.width)
    return fail(ErrorCode::bad_file, keys.full("embedding_length_out"), ": ", width, " where the model's embedding_length is ", in.width);
  for (std::size_t i = 0; i < model.graph.weights.size(); ++i)
    if (model.graph.weights[i].name == "token_embd.weight") {
      graph::WeightInfo info = model.graph.weights[i];
      info.scale = -1;  // a weight of the model's graph; looking rows up does not use it
      in.embedding = g.weight(std::move(info));
      bindings.tensors.push_back(model.tensors[i]);
    }
  if (!in.embedding) return fail(ErrorCode::bad_file, "token_embd.weight: the model to draft for has none");
  in.hidden = g.input(in.width);
  architecture->build(g, keys, Weights(bindings), c, in);
  if (auto fine = finish(bindings, keys, blueprint); !fine) return fine.error();
  if (g.info(g.logits).width() != model.graph.info(model.graph.logits).width() ||
      g.info(g.hidden).width() != static_cast<std::size_t>(in.width))
    return fail(ErrorCode::bad_file, file.path(), ": logits of ", g.info(g.logits).width(), " and hidden states of ",
                g.info(g.hidden).width(), " where the model has ", model.graph.info(model.graph.logits).width(), " and ", in.width);
  draft->model_embedding = in.embedding.id;
  draft->hidden_in = in.hidden;
  return draft;
}

}  // namespace strata::models
