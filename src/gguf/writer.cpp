// Owns: writing GGUF v3. Knows the layout (ggml docs/gguf.md) and tensor geometry; knows no architecture.
#include "gguf/writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

#include "base/checked.h"
#include "base/platform.h"
#include "base/text.h"
#include "gguf/file.h"
#include "gguf/geometry.h"

namespace strata::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");

namespace {

using Values = std::vector<std::pair<std::string, WriteValue>>;

constexpr std::size_t kPiece = std::size_t{4} << 20;  ///< bytes asked of a source at a time

template <class Number>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<Number, bool>) return ValueType::boolean;
  else if constexpr (std::is_same_v<Number, float>) return ValueType::f32;
  else if constexpr (std::is_same_v<Number, double>) return ValueType::f64;
  else if constexpr (std::is_same_v<Number, std::string>) return ValueType::string;
  else if constexpr (sizeof(Number) == 1) return std::is_signed_v<Number> ? ValueType::i8 : ValueType::u8;
  else if constexpr (sizeof(Number) == 2) return std::is_signed_v<Number> ? ValueType::i16 : ValueType::u16;
  else if constexpr (sizeof(Number) == 4) return std::is_signed_v<Number> ? ValueType::i32 : ValueType::u32;
  else return std::is_signed_v<Number> ? ValueType::i64 : ValueType::u64;
}

/// Appends in the file's layout.
struct Encoder {
  std::string out;

  template <class Number>
  void put(Number number) {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    out.append(bytes, sizeof number);
  }
  void put(ValueType type) { put(static_cast<std::uint32_t>(type)); }
  void put(bool flag) { put(static_cast<std::uint8_t>(flag)); }
  void put(const std::string& text) {
    put(std::uint64_t{text.size()});
    out += text;
  }

  // A value with its type.
  template <class Scalar>
  void value(const Scalar& scalar) {
    put(value_type<Scalar>());
    put(scalar);
  }
  template <class Element>
  void value(const std::vector<Element>& elements) {
    put(ValueType::array);
    put(value_type<Element>());
    put(std::uint64_t{elements.size()});
    for (const Element& element : elements) put(element);
  }
  void value(const Flags& flags) {
    put(ValueType::array);
    put(ValueType::boolean);
    put(std::uint64_t{flags.values.size()});
    for (std::uint8_t flag : flags.values) put(flag);
  }
};

/// A tensor ready to be written.
struct Planned {
  const WriteTensor* tensor;
  std::uint64_t bytes;
  std::uint64_t padded;
};

std::string quoted_tensor(const WriteTensor& tensor) { return str("tensor ", printable(tensor.name)); }

Result<std::vector<Planned>> plan(const std::string& path, const std::vector<WriteTensor>& tensors, std::uint64_t alignment) {
  if (!alignment_is_valid(alignment))
    return fail(ErrorCode::invalid_argument, path, ": alignment ", alignment, ", allowed are powers of two from 8 to ",
                kMaxAlignment);
  std::vector<Planned> planned;
  std::vector<std::string_view> names;
  std::uint64_t total = 0;
  for (const WriteTensor& tensor : tensors) {
    const std::string what = quoted_tensor(tensor);
    if (tensor.name.empty() || tensor.name.size() > kMaxTensorNameBytes)
      return fail(ErrorCode::invalid_argument, path, ": ", what, ": the name has ", tensor.name.size(),
                  " bytes, allowed are 1 to ", kMaxTensorNameBytes);
    if (!tensor.source) return fail(ErrorCode::invalid_argument, path, ": ", what, ": has no source of data");
    const auto bytes = tensor_bytes(tensor.type, tensor.ne);
    if (!bytes) return fail(ErrorCode::invalid_argument, path, ": ", what, ": ", bytes.error().message);
    const auto padded = checked_align(*bytes, alignment);
    const auto sum = padded ? checked_add(total, *padded) : padded;
    if (!sum || *sum > std::uint64_t{1} << 62)
      return fail(ErrorCode::invalid_argument, path, ": ", what, ": the tensors take more than 2^62 bytes");
    total = *sum;
    planned.push_back({&tensor, *bytes, *padded});
    names.push_back(tensor.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return fail(ErrorCode::invalid_argument, path, ": tensor ", printable(*twice), ": was added twice");
  return planned;
}

/// The values to write, less those that the writer itself decides.
Result<Values> own_values(const std::string& path, const Values& values, std::uint32_t alignment) {
  Values kept;
  for (const auto& [key, value] : values) {
    if (key.empty() || key.size() > kMaxKeyBytes)
      return fail(ErrorCode::invalid_argument, path, ": key ", printable(key), ": has ", key.size(), " bytes, allowed are 1 to ",
                  kMaxKeyBytes);
    if (const Flags* flags = std::get_if<Flags>(&value))
      if (std::any_of(flags->values.begin(), flags->values.end(), [](auto flag) { return flag > 1; }))
        return fail(ErrorCode::invalid_argument, path, ": key ", printable(key), ": a boolean must be 0 or 1");
    if (key == "split.no" || key == "split.count" || key == "split.tensors.count" || key == "general.alignment") continue;
    kept.emplace_back(key, value);
  }
  if (alignment != 32) kept.emplace_back("general.alignment", alignment);
  return kept;
}

std::string header(const Values& values, std::span<const Planned> tensors, std::uint64_t alignment) {
  Encoder encoder;
  encoder.out = "GGUF";
  encoder.put(std::uint32_t{3});
  encoder.put(std::uint64_t{tensors.size()});
  encoder.put(std::uint64_t{values.size()});
  for (const auto& [key, value] : values) {
    encoder.put(key);
    std::visit([&](const auto& held) { encoder.value(held); }, value);
  }
  std::uint64_t offset = 0;
  for (const Planned& planned : tensors) {
    const WriteTensor& tensor = *planned.tensor;
    encoder.put(tensor.name);
    encoder.put(static_cast<std::uint32_t>(tensor.ne.size()));
    for (std::uint64_t ne : tensor.ne) encoder.put(ne);
    encoder.put(static_cast<std::uint32_t>(tensor.type));
    encoder.put(offset);
    offset += planned.padded;
  }
  encoder.out.resize(static_cast<std::size_t>(*checked_align(encoder.out.size(), alignment)), '\0');
  return std::move(encoder.out);
}

/// Writes the tensors' data and reports how far it has come, over all files.
class Pump {
 public:
  Pump(std::span<const Planned> tensors, const Writer::Progress& progress) : progress_(progress) {
    std::uint64_t largest = 0;
    for (const Planned& planned : tensors) {
      total_ += planned.bytes;
      largest = std::max(largest, planned.padded);
    }
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, largest)));
  }

  Result<void> file(platform::OutputFile& out, const std::string& path, const std::string& head,
                    std::span<const Planned> tensors) {
    if (auto done = out.write(std::as_bytes(std::span(head))); !done) return done;
    for (const Planned& planned : tensors)
      if (auto done = tensor(out, path, planned); !done) return done;
    return {};
  }

 private:
  Result<void> tensor(platform::OutputFile& out, const std::string& path, const Planned& planned) {
    for (std::uint64_t at = 0; at < planned.bytes;) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(planned.bytes - at, buffer_.size()));
      const auto piece = std::span(buffer_).first(size);
      if (auto filled = planned.tensor->source(at, piece); !filled)
        return fail(filled.error().code, path, ": ", quoted_tensor(*planned.tensor), ": ", filled.error().message);
      if (auto done = out.write(piece); !done) return done;
      at += size;
      done_ += size;
      if (progress_ && !progress_(done_, total_)) return fail(ErrorCode::cancelled, path, ": writing was cancelled");
    }
    // Padding follows every tensor, the last one too. It is shorter than the largest alignment, 1 MiB.
    const std::vector<std::byte> padding(static_cast<std::size_t>(planned.padded - planned.bytes));
    return out.write(padding);
  }

  const Writer::Progress& progress_;
  std::vector<std::byte> buffer_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

using Shard = std::span<const Planned>;

std::uint64_t bytes_of(Shard shard) {
  std::uint64_t bytes = 0;
  for (const Planned& planned : shard) bytes += planned.bytes;
  return bytes;
}

/// How many of `tensors` go into the next file: as many as the limits allow, but at least one.
std::size_t take_shard(Shard tensors, const SplitLimits& limits) {
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (const Planned& planned : tensors) {
    if (count > 0 && limits.max_tensors > 0 && count >= limits.max_tensors) break;
    if (count > 0 && limits.max_bytes > 0 && planned.bytes > limits.max_bytes - std::min(bytes, limits.max_bytes)) break;
    bytes += planned.bytes;
    ++count;
  }
  return count;
}

Result<std::vector<Shard>> cut(const std::string& prefix, Shard tensors, const SplitLimits& limits) {
  std::vector<Shard> shards;
  do {
    const std::size_t count = take_shard(tensors, limits);
    shards.push_back(tensors.first(count));
    tensors = tensors.subspan(count);
  } while (!tensors.empty());
  if (shards.size() > kMaxShards)
    return fail(ErrorCode::invalid_argument, prefix, ": would take ", shards.size(), " files, allowed are ", kMaxShards,
                "; let each hold more");
  return shards;
}

std::vector<ShardPlan> describe(const std::string& prefix, std::span<const Shard> shards) {
  std::vector<ShardPlan> out;
  for (std::size_t i = 0; i < shards.size(); ++i)
    out.push_back({prefix + shard_suffix(i, shards.size()), shards[i].size(), bytes_of(shards[i])});
  return out;
}

}  // namespace

WriteValue copy(const Value& value) {
  const bool array = value.type() == ValueType::array;
  // Elements and scalars convert alike, exactly for every type.
  const auto numbers = [&]<class Number>(Number, auto convert) -> WriteValue {
    if (!array) return static_cast<Number>(*convert(value));
    std::vector<Number> all;
    all.reserve(static_cast<std::size_t>(value.count()));
    for (std::uint64_t i = 0; i < value.count(); ++i) all.push_back(static_cast<Number>(*convert(value.element(i))));
    return all;
  };
  const auto as_unsigned = [](const Value& v) { return v.as_unsigned(); };
  const auto as_signed = [](const Value& v) { return v.as_signed(); };
  const auto as_float = [](const Value& v) { return v.as_float(); };
  switch (array ? value.element_type() : value.type()) {
    case ValueType::u8: return numbers(std::uint8_t{}, as_unsigned);
    case ValueType::u16: return numbers(std::uint16_t{}, as_unsigned);
    case ValueType::u32: return numbers(std::uint32_t{}, as_unsigned);
    case ValueType::u64: return numbers(std::uint64_t{}, as_unsigned);
    case ValueType::i8: return numbers(std::int8_t{}, as_signed);
    case ValueType::i16: return numbers(std::int16_t{}, as_signed);
    case ValueType::i32: return numbers(std::int32_t{}, as_signed);
    case ValueType::i64: return numbers(std::int64_t{}, as_signed);
    case ValueType::f32: return numbers(float{}, as_float);
    case ValueType::f64: return numbers(double{}, as_float);
    case ValueType::boolean: {
      if (!array) return *value.as_bool();
      Flags flags;
      for (std::uint64_t i = 0; i < value.count(); ++i) flags.values.push_back(*value.element(i).as_bool());
      return flags;
    }
    case ValueType::string: {
      if (!array) return std::string(*value.as_string());
      std::vector<std::string> texts;
      for (std::uint64_t i = 0; i < value.count(); ++i) texts.emplace_back(*value.element(i).as_string());
      return texts;
    }
    case ValueType::array: break;  // arrays of arrays are refused when a file is opened
  }
  return std::string();
}

void Writer::set(std::string key, WriteValue value) {
  const auto [found, fresh] = value_at_.try_emplace(key, values_.size());
  if (fresh) values_.emplace_back(std::move(key), std::move(value));
  else values_[found->second].second = std::move(value);
}

void Writer::add(WriteTensor tensor) { tensors_.push_back(std::move(tensor)); }

Result<void> Writer::write(const std::string& path, const Progress& progress) const {
  const auto planned = plan(path, tensors_, alignment_);
  if (!planned) return planned.error();
  const auto values = own_values(path, values_, alignment_);
  if (!values) return values.error();
  auto out = platform::OutputFile::create(path);
  if (!out) return out.error();
  Pump pump(*planned, progress);
  if (auto done = pump.file(**out, path, header(*values, *planned, alignment_), *planned); !done) return done;
  return (*out)->commit();
}

Result<Writer::Head> Writer::head() const {
  const auto planned = plan("head", tensors_, alignment_);
  if (!planned) return planned.error();
  const auto values = own_values("head", values_, alignment_);
  if (!values) return values.error();
  std::uint64_t data = 0;
  for (const Planned& tensor : *planned) data += tensor.padded;
  return Head{header(*values, *planned, alignment_), data};
}

Result<std::vector<ShardPlan>> Writer::plan_split(const std::string& prefix, const SplitLimits& limits) const {
  const auto planned = plan(prefix, tensors_, alignment_);
  if (!planned) return planned.error();
  const auto shards = cut(prefix, *planned, limits);
  if (!shards) return shards.error();
  return describe(prefix, *shards);
}

Result<std::vector<ShardPlan>> Writer::write_split(const std::string& prefix, const SplitLimits& limits,
                                                   const Progress& progress) const {
  const auto planned = plan(prefix, tensors_, alignment_);
  if (!planned) return planned.error();
  auto values = own_values(prefix, values_, alignment_);
  if (!values) return values.error();
  const auto shards = cut(prefix, *planned, limits);
  if (!shards) return shards.error();
  std::vector<ShardPlan> described = describe(prefix, *shards);

  // Names appear only when the last byte of the last file is written.
  std::vector<std::unique_ptr<platform::OutputFile>> files;
  Pump pump(*planned, progress);
  for (std::size_t i = 0; i < shards->size(); ++i) {
    const std::string& path = described[i].path;
    auto out = platform::OutputFile::create(path);
    if (!out) return out.error();
    Values of_shard;
    if (i == 0) of_shard = std::move(*values);
    else if (alignment_ != 32) of_shard.emplace_back("general.alignment", alignment_);
    of_shard.emplace_back("split.no", static_cast<std::uint16_t>(i));
    of_shard.emplace_back("split.count", static_cast<std::uint16_t>(shards->size()));
    of_shard.emplace_back("split.tensors.count", static_cast<std::int32_t>(planned->size()));
    if (auto done = pump.file(**out, path, header(of_shard, (*shards)[i], alignment_), (*shards)[i]); !done) return done.error();
    files.push_back(std::move(*out));
  }
  for (auto& file : files)
    if (auto done = file->commit(); !done) return done.error();
  return described;
}

}  // namespace strata::gguf
