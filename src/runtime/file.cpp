// Owns: ModelFile: a file's metadata and tensors as plain values. Knows GGUF and formats; no device.
#include "strata/file.h"

#include "base/text.h"
#include "gguf/file.h"
#include "kernels/formats/list.h"
#include "models/architecture.h"
#include "runtime/summary.h"

namespace strata {

struct ModelFile::State {
  std::shared_ptr<const gguf::File> file;
};

namespace {

enum class Kind { boolean, negative_capable, natural, real, text };

Kind kind(gguf::ValueType type) {
  using T = gguf::ValueType;
  switch (type) {
    case T::boolean: return Kind::boolean;
    case T::i8: case T::i16: case T::i32: case T::i64: return Kind::negative_capable;
    case T::f32: case T::f64: return Kind::real;
    case T::string: return Kind::text;
    default: return Kind::natural;
  }
}

/// The elements of an array through one of Value's conversions; every element has the array's element type.
template <class Out, class Convert>
std::vector<Out> elements(const gguf::Value& array, Convert convert) {
  std::vector<Out> out;
  out.reserve(array.count());
  for (std::uint64_t i = 0; i < array.count(); ++i) out.push_back(static_cast<Out>(*convert(array.element(i))));
  return out;
}

MetadataValue plain(const gguf::Value& value) {
  auto boolean = [](const gguf::Value& v) { return v.as_bool(); };
  auto integer = [](const gguf::Value& v) { return v.as_signed(); };
  auto natural = [](const gguf::Value& v) { return v.as_unsigned(); };
  auto real = [](const gguf::Value& v) { return v.as_float(); };
  auto text = [](const gguf::Value& v) { return v.as_string(); };
  if (value.type() == gguf::ValueType::array) switch (kind(value.element_type())) {
      case Kind::boolean: return elements<bool>(value, boolean);
      case Kind::negative_capable: return elements<std::int64_t>(value, integer);
      case Kind::natural: return elements<std::uint64_t>(value, natural);
      case Kind::real: return elements<double>(value, real);
      case Kind::text: return elements<std::string>(value, text);
    }
  switch (kind(value.type())) {
    case Kind::boolean: return *value.as_bool();
    case Kind::negative_capable: return *value.as_signed();
    case Kind::natural: return *value.as_unsigned();
    case Kind::real: return *value.as_float();
    case Kind::text: break;
  }
  return std::string(*value.as_string());
}

}  // namespace

Result<ModelFile> ModelFile::open(const std::string& path) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  return ModelFile(std::make_shared<State>(State{std::move(*file)}));
}

std::uint32_t ModelFile::gguf_version() const { return state_->file->version(); }
std::uint64_t ModelFile::file_bytes() const { return state_->file->file_bytes(); }
int ModelFile::files() const { return state_->file->shards(); }

std::vector<MetadataEntry> ModelFile::metadata() const {
  std::vector<MetadataEntry> out;
  for (const gguf::Entry& entry : state_->file->metadata()) {
    std::string type = gguf::name(entry.value.type());
    if (entry.value.type() == gguf::ValueType::array) type = str("array[", gguf::name(entry.value.element_type()), "]");
    out.push_back({std::string(entry.key), std::move(type), plain(entry.value)});
  }
  return out;
}

std::vector<TensorEntry> ModelFile::tensors() const {
  std::vector<TensorEntry> out;
  for (const gguf::Tensor& t : state_->file->tensors())
    out.push_back({std::string(t.name), type_name(t.type), {t.ne.begin(), t.ne.begin() + t.dims}, t.bytes, t.shard});
  return out;
}

Result<std::vector<float>> ModelFile::read(const std::string& name) const {
  const gguf::Tensor* tensor = state_->file->find_tensor(name);
  if (!tensor) return fail(ErrorCode::not_found, state_->file->path(), ": no tensor is named ", name, "; `strata inspect` lists them");
  const formats::Format* format = formats::find(tensor->type);
  if (!format) return fail(ErrorCode::unsupported, name, ": type ", type_name(tensor->type), " has no decoder here");
  std::vector<float> out(tensor->elements());
  const std::size_t bytes = row_bytes(tensor->type, tensor->ne[0]);
  std::vector<std::byte> row(bytes);
  for (std::uint64_t r = 0; r < tensor->elements() / tensor->ne[0]; ++r) {
    if (auto read = state_->file->read(*tensor, r * bytes, row); !read) return read.error();
    format->decode(row.data(), out.data() + r * tensor->ne[0], static_cast<std::int64_t>(tensor->ne[0]));
  }
  return out;
}

Result<ModelSummary> ModelFile::summary() const {
  auto blueprint = models::build(*state_->file);
  if (!blueprint) return blueprint.error();
  return runtime::summarise(**blueprint, *state_->file);
}

}  // namespace strata
