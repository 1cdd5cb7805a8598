// Owns: looking tensors up by name and remembering which were asked for. Knows no architecture.
#include "models/weights.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "models/architecture.h"

namespace strata::models {

namespace {

constexpr std::size_t kNamed = 8;          // names listed in a message
constexpr std::uint64_t kMaxConstant = 1u << 16;  // elements of a vector read by `values`

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) out += (i ? ", " : "") + names[i];
  if (names.size() > kNamed) out += str(" and ", names.size() - kNamed, " more");
  return out;
}

}  // namespace

std::span<const std::byte> Stored::mapped(const gguf::File& file) const {
  return parts.size() == 1 ? file.mapped(*parts[0]) : std::span<const std::byte>();
}

Result<void> Stored::read(const gguf::File& file, std::uint64_t offset, std::span<std::byte> out) const {
  const std::uint64_t each = parts.front()->bytes;
  while (!out.empty()) {
    const std::uint64_t within = offset % each;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(each - within, out.size()));
    if (auto done = file.read(*parts[static_cast<std::size_t>(offset / each)], within, out.first(count)); !done) return done;
    offset += count;
    out = out.subspan(count);
  }
  return {};
}

Result<void> Bindings::check() const {
  if (!missing.empty())
    return fail(ErrorCode::bad_file, file.path(), ": the model needs tensors that the file lacks: ", list(missing));
  std::vector<std::string> unknown;
  for (const gguf::Tensor& tensor : file.tensors())
    if (!used.contains(tensor.name)) unknown.emplace_back(tensor.name);
  if (!unknown.empty())
    return fail(ErrorCode::unsupported, file.path(), ": the file holds tensors that this architecture does not use: ", list(unknown));
  return {};
}

void Bindings::adapt(const std::string& name, graph::Weight weight) {
  for (const Adapter& adapter : adapters) {
    const gguf::Tensor* parts[] = {adapter.file->find_tensor(name + ".lora_a"), adapter.file->find_tensor(name + ".lora_b")};
    if (!parts[0] || !parts[1]) continue;
    graph::LowRank change{{}, {}, 0};
    for (const gguf::Tensor* part : parts) {
      (part == parts[0] ? change.a : change.b) = graph.weight({std::string(part->name), part->type, part->ne});
      tensors.push_back({{part}});
    }
    // s (W + B A): what scales W scales the change.
    graph.weights[static_cast<std::size_t>(change.b.id)].scale = graph.weights[static_cast<std::size_t>(weight.id)].scale;
    // alpha / rank (arXiv:2106.09685, section 4.1); a file without alpha means its product as it is.
    const gguf::Value* value = adapter.file->find("adapter.lora.alpha");
    const double alpha = value ? value->as_float().value_or(0) : 0;
    const double rank = static_cast<double>(parts[1]->ne[0]);
    change.factor = static_cast<float>(alpha != 0 ? adapter.scale * alpha / rank : adapter.scale);
    graph.low_rank.emplace(weight.id, change);
  }
}

Result<void> Bindings::check_adapters() const {
  for (const auto& [weight, change] : graph.low_rank)
    if (!change.used)
      return fail(ErrorCode::unsupported, graph.weights[static_cast<std::size_t>(change.a.id)].name, ": ",
                  graph.weights[static_cast<std::size_t>(weight)].name,
                  " is no matrix that this architecture multiplies by, so that an adapter cannot change it");
  for (const Adapter& adapter : adapters) {
    std::vector<std::string> unknown;
    for (const gguf::Tensor& tensor : adapter.file->tensors()) {
      std::string_view name = tensor.name;
      if (name.ends_with(".lora_a") || name.ends_with(".lora_b")) name.remove_suffix(7);
      if (name == tensor.name || !bound.contains(name)) unknown.emplace_back(tensor.name);
    }
    if (!unknown.empty())
      return fail(ErrorCode::bad_file, adapter.file->path(), ": the adapter holds tensors that change nothing of the model: ",
                  list(unknown));
  }
  return {};
}

Weights Weights::block(int layer) const { return Weights(*bindings_, str(prefix_, "blk.", layer, ".")); }

bool Weights::has(std::string_view name) const { return bindings_->file.find_tensor(prefix_ + std::string(name)); }

std::vector<const gguf::Tensor*> Weights::parts(const std::string& full) const {
  constexpr std::string_view kExperts = "_exps.weight";
  if (const gguf::Tensor* tensor = bindings_->file.find_tensor(full)) return {tensor};
  std::vector<const gguf::Tensor*> out;
  if (!full.ends_with(kExperts)) return out;
  const std::string stem = full.substr(0, full.size() - kExperts.size());
  while (const gguf::Tensor* tensor = bindings_->file.find_tensor(str(stem, ".", out.size(), ".weight"))) {
    if (!out.empty() && (tensor->type != out[0]->type || tensor->ne != out[0]->ne || tensor->ne[2] * tensor->ne[3] != 1))
      bindings_->graph.reject(fail(ErrorCode::unsupported, tensor->name, ": its type or shape is not that of ", out[0]->name,
                                   "; the experts of a layer must agree"));
    out.push_back(tensor);
  }
  return out;
}

void Weights::bind_scale(graph::Weight weight, std::string_view stem) const {
  const std::string full = prefix_ + std::string(stem);
  const std::uint64_t matrices = bindings_->graph.weights[static_cast<std::size_t>(weight.id)].ne[2];
  const gguf::Tensor* scale = bindings_->file.find_tensor(full + ".scale");
  if (scale && (scale->elements() == 1 || scale->elements() == matrices)) {
    const int id = find(std::string(stem) + ".scale").id;
    bindings_->graph.weights[static_cast<std::size_t>(weight.id)].scale = id;
  }
  if (const gguf::Tensor* input = bindings_->file.find_tensor(full + ".input_scale"))
    if (bindings_->used.insert(full + ".input_scale").second) bindings_->kept.push_back(input);
}

graph::Weight Weights::find(std::string_view name) const {
  constexpr std::string_view kWeight = ".weight";
  std::string full = prefix_ + std::string(name);
  if (auto known = bindings_->bound.find(full); known != bindings_->bound.end()) return {known->second};
  std::vector<const gguf::Tensor*> stored = parts(full);
  if (stored.empty()) return {};
  std::array<std::uint64_t, 4> ne = stored[0]->ne;
  if (stored[0]->name != full) ne[2] = stored.size();
  graph::Weight weight = bindings_->graph.weight({full, stored[0]->type, ne});
  for (const gguf::Tensor* tensor : stored) bindings_->used.emplace(tensor->name);
  bindings_->tensors.push_back({std::move(stored)});
  bindings_->bound.emplace(full, weight.id);
  if (name.ends_with(kWeight)) bind_scale(weight, name.substr(0, name.size() - kWeight.size()));
  bindings_->adapt(full, weight);
  return weight;
}

graph::Weight Weights::require(std::string_view name) const {
  graph::Weight weight = find(name);
  if (weight) return weight;
  std::string full = prefix_ + std::string(name);
  bindings_->missing.push_back(full);
  // A weight that fits nowhere: recording goes on to collect further missing names, and the graph is never run.
  bindings_->graph.reject(fail(ErrorCode::bad_file, full, ": missing from the file"));
  bindings_->tensors.push_back({});
  return bindings_->graph.weight({full, TensorType::f32, {1, 1, 1, 1}});
}

std::vector<float> Weights::values(std::string_view name) const {
  std::string full = prefix_ + std::string(name);
  const gguf::Tensor* tensor = bindings_->file.find_tensor(full);
  if (!tensor) return {};
  bindings_->used.insert(full);
  bindings_->kept.push_back(tensor);
  if (tensor->type != TensorType::f32 || tensor->elements() > kMaxConstant) {
    bindings_->graph.reject(fail(ErrorCode::bad_file, full, ": ", type_name(tensor->type), " with ", tensor->elements(),
                                 " elements where a float32 vector of at most ", kMaxConstant, " is needed"));
    return {};
  }
  std::vector<float> out(tensor->elements());
  if (auto read = bindings_->file.read(*tensor, 0, std::as_writable_bytes(std::span(out))); !read) {
    bindings_->graph.reject(read.error());
    return {};
  }
  return out;
}

void Weights::keep(std::string_view name) const {
  const gguf::Tensor* tensor = bindings_->file.find_tensor(prefix_ + std::string(name));
  if (tensor && bindings_->used.insert(std::string(tensor->name)).second) bindings_->kept.push_back(tensor);
}

void Weights::keep_all() const {
  for (const gguf::Tensor& tensor : bindings_->file.tensors())
    if (tensor.name.starts_with(prefix_) && bindings_->used.insert(std::string(tensor.name)).second)
      bindings_->kept.push_back(&tensor);
}

}  // namespace strata::models
