// Owns: rewriting model files of float32 tensors. Knows GGUF's reader and writer.
#include "support/edit_model.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/text.h"

namespace strata::test {

namespace {

gguf::WriteTensor tensor_of(std::string name, std::vector<std::uint64_t> ne, std::vector<float> values) {
  auto held = std::make_shared<std::vector<float>>(std::move(values));
  return {std::move(name), TensorType::f32, std::move(ne), [held](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
            std::memcpy(out.data(), reinterpret_cast<const std::byte*>(held->data()) + offset, out.size());
            return {};
          }};
}

}  // namespace

std::string temporary_path(const std::string& name) {
  return (std::filesystem::temp_directory_path() / str("strata-", ::getpid(), "-", name)).string();
}

void edit_model(const std::string& from, const std::string& to, const EditTensor& edit,
                const std::vector<std::pair<std::string, gguf::WriteValue>>& metadata) {
  auto file = gguf::File::open(from).value_or_throw();
  gguf::Writer writer;
  for (const gguf::Entry& entry : file->metadata()) writer.set(std::string(entry.key), gguf::copy(entry.value));
  for (const auto& [key, value] : metadata) writer.set(key, value);
  for (const gguf::Tensor& tensor : file->tensors()) {
    if (tensor.type != TensorType::f32) throw Exception(fail(ErrorCode::unsupported, tensor.name, " is not float32"));
    std::vector<float> values(tensor.elements());
    file->read(tensor, 0, std::as_writable_bytes(std::span(values))).value_or_throw();
    if (edit(tensor, values))
      writer.add(tensor_of(std::string(tensor.name), {tensor.ne.begin(), tensor.ne.begin() + tensor.dims}, std::move(values)));
  }
  writer.write(to).value_or_throw();
}

void Change::merge(std::vector<float>& values, double factor) const {
  for (std::uint64_t e = 0; e < experts; ++e)
    for (std::uint64_t o = 0; o < outputs; ++o)
      for (std::uint64_t i = 0; i < inputs; ++i) {
        double sum = 0;
        for (std::uint64_t r = 0; r < rank; ++r)
          sum += table ? static_cast<double>(b[i * rank + r]) * a[o * rank + r]
                       : static_cast<double>(b[(e * outputs + o) * rank + r]) * a[(e * rank + r) * inputs + i];
        float& value = values[(e * outputs + o) * inputs + i];
        value = static_cast<float>(value + factor * sum);
      }
}

Change random_change(const gguf::File& file, const std::string& tensor, std::uint64_t rank, unsigned seed) {
  const gguf::Tensor* w = file.find_tensor(tensor);
  if (!w) throw Exception(fail(ErrorCode::not_found, tensor));
  Change change{tensor, w->ne[0], w->ne[1], w->ne[2], rank, {}, {}, tensor == "token_embd.weight"};
  std::mt19937 random(seed);
  auto fill = [&](std::vector<float>& values, std::uint64_t count, double spread) {
    for (std::uint64_t i = 0; i < count; ++i)
      values.push_back(static_cast<float>(spread * (static_cast<double>(random() >> 8) * 0x1p-23 - 1.0)));
  };
  fill(change.a, change.table ? rank * change.outputs : rank * change.inputs * change.experts, 1 / std::sqrt(double(change.inputs)));
  fill(change.b, change.table ? rank * change.inputs : rank * change.outputs * change.experts, 0.7);
  return change;
}

void write_adapter(const std::string& path, const std::string& architecture, const std::vector<Change>& changes, float alpha) {
  gguf::Writer writer;
  writer.set("general.architecture", architecture);
  writer.set("general.type", std::string("adapter"));
  writer.set("adapter.type", std::string("lora"));
  if (alpha != 0) writer.set("adapter.lora.alpha", alpha);
  for (const Change& c : changes) {
    std::vector<std::uint64_t> a{c.inputs, c.rank}, b{c.rank, c.outputs};
    if (c.table) a = {c.rank, c.outputs}, b = {c.rank, c.inputs};
    if (c.experts > 1) a.push_back(c.experts), b.push_back(c.experts);
    writer.add(tensor_of(c.tensor + ".lora_a", a, c.a));
    writer.add(tensor_of(c.tensor + ".lora_b", b, c.b));
  }
  writer.write(path).value_or_throw();
}

}  // namespace strata::test
