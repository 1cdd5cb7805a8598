// Owns: the passes of an engine beside the model as it is: under adapters, and for hidden states alone.
// Knows devices behind their interface.
#include "base/text.h"
#include "runtime/engine.h"

namespace strata::runtime {

namespace {

/// Whose tensor this is.
const gguf::File* adapter_of(std::span<const PassAdapter> adapters, const gguf::Tensor* tensor) {
  for (const PassAdapter& adapter : adapters) {
    const auto all = adapter.file->tensors();
    if (tensor >= all.data() && tensor < all.data() + all.size()) return adapter.file.get();
  }
  return nullptr;
}

}  // namespace

Result<std::shared_ptr<Pass>> Engine::adapted_pass(std::span<const PassAdapter> adapters) {
  if (adapters.empty()) return base_;
  std::lock_guard lock(mutex_);
  AdapterKey key;
  for (const PassAdapter& adapter : adapters) key.emplace_back(adapter.fingerprint, adapter.scale);
  std::erase_if(adapted_, [](const std::weak_ptr<Pass>& pass) { return pass.expired(); });
  for (const std::weak_ptr<Pass>& held : adapted_)
    if (auto pass = held.lock(); pass && pass->adapters == key) return pass;

  auto pass = std::make_shared<Pass>();
  std::vector<models::Adapter> parts;
  for (const PassAdapter& adapter : adapters) {
    parts.push_back({adapter.file.get(), adapter.scale});
    pass->files.push_back(adapter.file);
  }
  auto blueprint = models::build(*file_, parts);
  if (!blueprint) return blueprint.error();
  pass->blueprint = std::move(*blueprint);
  pass->graph = &pass->blueprint->graph;
  pass->adapters = std::move(key);
  pass->capacity = capacity_with_logits();
  pass->stages = graph::plan_stages(*pass->graph, device_of_layer_);

  std::map<const gguf::Tensor*, std::size_t> own;  // weight of the engine by its tensor
  for (std::size_t w = 0; w < blueprint_->tensors.size(); ++w) own[blueprint_->tensors[w].parts.front()] = w;
  std::vector<std::vector<const backend::Weight*>> weights(places_.size());
  for (auto& list : weights) list.resize(pass->graph->weights.size(), nullptr);
  for (const graph::Stage& stage : pass->stages) {
    const auto p = static_cast<std::size_t>(stage.device);
    for (int id : stage.nodes) {
      const graph::Node& node = pass->graph->nodes[static_cast<std::size_t>(id)];
      if (auto supported = places_[p].device->supports(*pass->graph, node); !supported) return supported.error();
      for (int weight : node.weight) {
        const auto w = static_cast<std::size_t>(weight);
        if (weight < 0 || weights[p][w]) continue;
        const gguf::Tensor* tensor = pass->blueprint->tensors[w].parts.front();
        const gguf::File* file = adapter_of(adapters, tensor);
        if (!file) {
          weights[p][w] = places_[p].weights[own.at(tensor)].get();
          continue;
        }
        backend::WeightSource source;
        source.bytes = tensor->bytes;
        for (const PassAdapter& adapter : adapters)
          if (adapter.file.get() == file) source.owner = adapter.file;
        source.read = [file, tensor](std::uint64_t offset, std::span<std::byte> out) { return file->read(*tensor, offset, out); };
        source.mapped = file->mapped(*tensor);
        auto loaded = places_[p].device->load(pass->graph->weights[w], source);
        if (!loaded) return loaded.error();
        weights[p][w] = loaded->get();
        pass->weights.push_back(std::move(*loaded));
      }
    }
  }
  if (auto compiled = compile(*pass, weights); !compiled) return compiled.error();
  pass->by_place = std::move(weights);
  adapted_.push_back(pass);
  return pass;
}

Result<std::shared_ptr<Pass>> Engine::hidden_pass(const std::shared_ptr<Pass>& whole) {
  std::lock_guard lock(mutex_);
  std::erase_if(hidden_, [](const auto& entry) { return entry.second.expired(); });
  if (auto found = hidden_.find(whole.get()); found != hidden_.end())
    if (auto pass = found->second.lock()) return pass;
  auto pass = std::make_shared<Pass>();
  pass->graph = whole->graph;
  pass->blueprint = whole->blueprint;
  pass->whole = whole;
  pass->adapters = whole->adapters;
  pass->capacity = {max_step_, max_step_};
  pass->stages = without_logits(*whole->graph, whole->stages);
  if (auto compiled = compile(*pass, whole->by_place); !compiled) return compiled.error();
  hidden_[whole.get()] = pass;
  if (whole == base_) base_hidden_ = pass;
  return pass;
}

}  // namespace strata::runtime
