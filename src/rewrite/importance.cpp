// Owns: the two layouts of importance matrices. Knows GGUF.
#include "rewrite/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "base/platform.h"
#include "base/text.h"
#include "gguf/file.h"
#include "gguf/geometry.h"
#include "gguf/writer.h"

namespace strata::rewrite {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

Error wrong(const std::string& path, std::string_view name, const std::string& what) {
  return fail(ErrorCode::bad_file, path, ": entry ", gguf::printable(name), ": ", what);
}

bool usable(double value) { return std::isfinite(value) && value >= 0; }

Result<void> check(const std::string& path, const std::string& name, const ColumnSums& sums) {
  if (sums.counts.empty() || sums.squares.empty()) return wrong(path, name, "has sums without counts, or counts without sums");
  if (sums.squares.size() % sums.counts.size() != 0)
    return wrong(path, name, str("has ", sums.squares.size(), " sums for ", sums.counts.size(), " counts"));
  for (const auto* values : {&sums.squares, &sums.counts})
    for (std::size_t i = 0; i < values->size(); ++i)
      if (!usable((*values)[i])) return wrong(path, name, str("number ", i, " is ", (*values)[i], "; all must be finite and not negative"));
  return {};
}

Result<std::vector<double>> read_floats(const gguf::File& file, const gguf::Tensor& tensor) {
  if (tensor.type != TensorType::f32)
    return fail(ErrorCode::bad_file, file.path(), ": tensor ", gguf::printable(tensor.name), ": is ", type_name(tensor.type), ", expected is F32");
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));  // they lie in the file: it was checked
  if (auto read = file.read(tensor, 0, std::as_writable_bytes(std::span(values))); !read) return read.error();
  return std::vector<double>(values.begin(), values.end());
}

Result<Importance> read_gguf(const std::string& path) {
  auto file = gguf::File::open(path, {.map = false});
  if (!file) return file.error();
  Importance out;
  const auto number = [&](const char* key) {
    const gguf::Value* value = (*file)->find(key);
    return static_cast<std::uint32_t>(value ? std::min<std::uint64_t>(value->as_unsigned().value_or(0), UINT32_MAX) : 0);
  };
  out.chunks = number("imatrix.chunk_count");
  out.chunk = number("imatrix.chunk_size");
  if (const gguf::Value* names = (*file)->find("imatrix.datasets");
      names && names->type() == gguf::ValueType::array && names->element_type() == gguf::ValueType::string)
    for (std::uint64_t i = 0; i < names->count(); ++i) out.datasets.emplace_back(*names->element(i).as_string());
  for (const gguf::Tensor& tensor : (*file)->tensors()) {
    const bool sums = tensor.name.ends_with(kSums);
    if (!sums && !tensor.name.ends_with(kCounts)) continue;
    const std::string name(tensor.name.substr(0, tensor.name.size() - (sums ? kSums : kCounts).size()));
    auto values = read_floats(**file, tensor);
    if (!values) return values.error();
    ColumnSums& entry = out.matrices[name];
    (sums ? entry.squares : entry.counts) = std::move(*values);
  }
  if (out.matrices.empty())
    return fail(ErrorCode::bad_file, path, ": holds no tensor NAME.in_sum2; it is no importance matrix (make one with `strata imatrix`)");
  return out;
}

/// The older layout, all little-endian: i32 entries; for each i32 length, name, i32 calls, i32 values, f32 values (means of
/// squares times calls); then, in newer files, i32 chunks, i32 length, dataset.
class DatReader {
 public:
  DatReader(const std::string& path, std::vector<std::byte> bytes) : path_(path), bytes_(std::move(bytes)) {}

  Result<Importance> read() {
    Importance out;
    const auto entries = number();
    if (!entries || *entries < 1) return no_matrix();
    for (std::int32_t i = 0; i < *entries; ++i) {
      const auto length = number();
      if (!length) return cut(i);
      if (*length < 1 || *length > 4096) return no_matrix();
      const auto name = take(static_cast<std::uint64_t>(*length));
      const auto calls = number(), values = number();
      if (!name || !calls || !values) return cut(i);
      if (*calls < 0 || *values < 1) return wrong(path_, text(*name), str("has ", *values, " values of ", *calls, " calls"));
      const auto data = take(std::uint64_t{4} * static_cast<std::uint64_t>(*values));
      if (!data) return cut(i);
      ColumnSums& entry = out.matrices[text(*name)];
      entry.counts = {static_cast<double>(*calls)};
      entry.squares.resize(static_cast<std::size_t>(*values));
      for (std::size_t v = 0; v < entry.squares.size(); ++v) {
        float value;
        std::memcpy(&value, data->data() + 4 * v, sizeof value);
        entry.squares[v] = value;
      }
    }
    if (const auto chunks = number()) out.chunks = static_cast<std::uint32_t>(std::max(*chunks, 0));
    if (const auto length = number(); length && *length > 0)
      if (const auto name = take(static_cast<std::uint64_t>(*length))) out.datasets.push_back(text(*name));
    return out;
  }

 private:
  using Bytes = std::span<const std::byte>;
  static std::string text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  std::optional<Bytes> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) return std::nullopt;
    const Bytes out = Bytes(bytes_).subspan(at_, static_cast<std::size_t>(count));
    at_ += out.size();
    return out;
  }
  std::optional<std::int32_t> number() {
    const auto bytes = take(4);
    if (!bytes) return std::nullopt;
    std::int32_t value;
    std::memcpy(&value, bytes->data(), sizeof value);
    return value;
  }
  Error no_matrix() const {
    return fail(ErrorCode::bad_file, path_, ": is neither a GGUF file nor an importance matrix; make one with `strata imatrix`");
  }
  Error cut(std::int32_t entry) const {
    return fail(ErrorCode::bad_file, path_, ": the file ends at byte ", bytes_.size(), ", within entry ", entry + 1, "; it was cut short");
  }

  const std::string& path_;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<float> Importance::weights(const std::string& tensor) const {
  const auto found = matrices.find(tensor);
  if (found == matrices.end()) return {};
  const ColumnSums& sums = found->second;
  const std::size_t columns = sums.squares.size() / sums.counts.size();
  std::vector<float> out(sums.squares.size(), 1.0f);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (const double count = sums.counts[i / columns]; count > 0) out[i] = static_cast<float>(sums.squares[i] / count);
  return out;
}

Result<Importance> read_importance(const std::string& path) {
  try {
    auto file = platform::InputFile::open(path);
    if (!file) return file.error();
    char magic[4] = {};
    const std::uint64_t size = (*file)->size();
    if (size >= sizeof magic)
      if (auto read = (*file)->read(0, std::as_writable_bytes(std::span(magic))); !read) return read.error();
    Result<Importance> out = Importance{};
    if (std::string_view(magic, sizeof magic) == "GGUF") {
      out = read_gguf(path);
    } else {
      std::vector<std::byte> bytes(static_cast<std::size_t>(size));
      if (auto read = (*file)->read(0, bytes); !read) return read.error();
      out = DatReader(path, std::move(bytes)).read();
    }
    if (!out) return out;
    for (const auto& [name, sums] : out->matrices)
      if (auto checked = check(path, name, sums); !checked) return checked.error();
    return out;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, path, ": too little memory to hold the importance matrix");
  }
}

Result<void> write_importance(const Importance& importance, const std::string& path) {
  gguf::Writer writer;
  writer.set("general.type", std::string("imatrix"));
  writer.set("imatrix.datasets", importance.datasets);
  writer.set("imatrix.chunk_count", importance.chunks);
  writer.set("imatrix.chunk_size", importance.chunk);
  const auto add = [&](const std::string& name, const std::vector<double>& values, std::vector<std::uint64_t> ne) {
    const auto source = [&values](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
      for (std::size_t i = 0; i < out.size(); ++i) {  // pieces may begin anywhere
        const std::uint64_t at = offset + i;
        const auto value = static_cast<float>(values[static_cast<std::size_t>(at / sizeof(float))]);
        out[i] = std::as_bytes(std::span(&value, 1))[at % sizeof(float)];
      }
      return {};
    };
    writer.add({name, TensorType::f32, std::move(ne), source});
  };
  for (const auto& [name, sums] : importance.matrices) {
    const std::uint64_t experts = sums.counts.size(), columns = sums.squares.size() / experts;
    add(str(name, kSums), sums.squares, {columns, experts});
    add(str(name, kCounts), sums.counts, {1, experts});
  }
  return writer.write(path);
}

}  // namespace strata::rewrite
