// Owns: looking tensors up by name and remembering which were asked for. Knows no architecture.
#include "models/weights.h"

#include "base/text.h"

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

Weights Weights::block(int layer) const { return Weights(*bindings_, str(prefix_, "blk.", layer, ".")); }

bool Weights::has(std::string_view name) const { return bindings_->file.find_tensor(prefix_ + std::string(name)); }

graph::Weight Weights::find(std::string_view name) const {
  std::string full = prefix_ + std::string(name);
  if (auto known = bindings_->bound.find(full); known != bindings_->bound.end()) return {known->second};
  const gguf::Tensor* tensor = bindings_->file.find_tensor(full);
  if (!tensor) return {};
  graph::Weight weight = bindings_->graph.weight({full, tensor->type, tensor->ne});
  bindings_->used.insert(full);
  bindings_->tensors.push_back(tensor);
  bindings_->bound.emplace(std::move(full), weight.id);
  return weight;
}

graph::Weight Weights::require(std::string_view name) const {
  graph::Weight weight = find(name);
  if (weight) return weight;
  std::string full = prefix_ + std::string(name);
  bindings_->missing.push_back(full);
  // A weight that fits nowhere: recording goes on to collect further missing names, and the graph is never run.
  bindings_->graph.reject(fail(ErrorCode::bad_file, full, ": missing from the file"));
  bindings_->tensors.push_back(nullptr);
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

void Weights::keep_all() const {
  for (const gguf::Tensor& tensor : bindings_->file.tensors())
    if (tensor.name.starts_with(prefix_) && bindings_->used.insert(std::string(tensor.name)).second)
      bindings_->kept.push_back(&tensor);
}

}  // namespace strata::models
