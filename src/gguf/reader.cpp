// Owns: parsing a GGUF header. Every count, length and offset is checked against the bytes that are there before it is
// used or anything is allocated for it. Knows the layout (ggml docs/gguf.md); knows no architecture.
#include "gguf/reader.h"

#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/text.h"
#include "gguf/geometry.h"
#include "gguf/value_size.h"

namespace strata::gguf {

/// A header never needs more: the largest vocabularies take some 30 MB. Bounds what a crafted file can make us hold.
static constexpr std::uint64_t kMaxHeader = std::uint64_t{1} << 30;
/// Bytes that an entry and a tensor record take at least, names and dimensions not counted (their absence has messages
/// of its own).
static constexpr std::uint64_t kMinEntry = 8 + 4 + 1;
static constexpr std::uint64_t kMinRecord = 8 + 4 + 4 + 8;

/// Walks the first `held` bytes of a file once. A step that fails returns false and leaves the reason in `error_`, or
/// in `wanted_` when the bytes exist but are not held yet.
class Reader {
 public:
  Reader(Shard& shard, std::span<const std::byte> held, std::uint64_t file_bytes)
      : shard_(shard), base_(held.data()), held_(held.size()), file_bytes_(file_bytes),
        end_(std::min(file_bytes, kMaxHeader)) {}

  bool parse();
  /// After a parse that failed: how many bytes of the file to hold for the next one, or 0 when that would not help.
  std::uint64_t wanted() const { return wanted_; }
  Error take_error() { return std::move(error_); }

 private:
  template <class... Parts>
  bool refuse(ErrorCode code, const Parts&... parts) {
    const std::string what = !name_.empty() ? str(kind_, ' ', printable(name_)) : index_ > 0 ? str(kind_, ' ', index_) : kind_;
    error_ = fail(code, shard_.path, ": ", what, " at byte ", mark_, ": ", parts...);
    return false;
  }

  /// What messages are about: the index-th (from 1) of a kind until its name is known. `kind_` alone with neither.
  void about(const char* kind, std::uint64_t index, std::string_view item = {}) {
    kind_ = kind;
    index_ = index;
    name_ = item;
  }

  std::uint64_t left() const { return end_ - at_; }

  bool take(std::uint64_t bytes, const std::byte*& out) {
    mark_ = at_;
    if (bytes > left()) return ends_early(bytes);
    if (bytes > held_ - at_) {
      wanted_ = at_ + bytes;
      return false;
    }
    out = base_ + at_;
    at_ += bytes;
    return true;
  }

  template <class Number>
  bool number(Number& out) {
    const std::byte* from = nullptr;
    if (!take(sizeof out, from)) return false;
    std::memcpy(&out, from, sizeof out);
    return true;
  }

  bool text(std::uint64_t length, std::string_view& out) {
    const std::byte* from = nullptr;
    if (!take(length, from)) return false;
    out = {reinterpret_cast<const char*>(from), static_cast<std::size_t>(length)};
    return true;
  }

  bool ends_early(std::uint64_t bytes);
  bool start(std::uint64_t& tensors, std::uint64_t& entries);
  bool entry(std::uint64_t index);
  bool array(Value& value);
  bool string_array(Value& value);
  bool booleans(const std::byte* data, std::uint64_t count);
  bool unique_keys(const std::vector<std::uint64_t>& starts);
  bool read_alignment();
  bool record(std::uint64_t index);
  bool unique_tensors(const std::vector<std::uint64_t>& starts);
  bool place_tensors(const std::vector<std::uint64_t>& starts);
  bool separate_tensors(const std::vector<std::uint64_t>& starts);

  Shard& shard_;
  const std::byte* base_;
  std::uint64_t held_;
  std::uint64_t file_bytes_;
  std::uint64_t end_;       ///< the header may reach up to here
  std::uint64_t at_ = 0;    ///< next byte
  std::uint64_t mark_ = 0;  ///< start of the field in work, for messages
  std::uint64_t wanted_ = 0;
  const char* kind_ = "header";
  std::uint64_t index_ = 0;
  std::string_view name_;
  Error error_;
};

bool Reader::ends_early(std::uint64_t bytes) {
  if (end_ < file_bytes_)
    return refuse(ErrorCode::bad_file, "needs ", bytes, " bytes, which goes past the ", kMaxHeader, " bytes a header may have");
  return refuse(ErrorCode::bad_file, "needs ", bytes, " bytes, the file ends at byte ", file_bytes_,
                "; it is cut short or damaged");
}

/// Magic, version and the two counts.
bool Reader::start(std::uint64_t& tensors, std::uint64_t& entries) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  std::string_view magic;
  if (!text(4, magic)) return false;
  if (magic != "GGUF") {
    if (std::string_view(reinterpret_cast<const char*>(base_), static_cast<std::size_t>(held_)).starts_with(kPointer))
      return refuse(ErrorCode::bad_file, "is a Git LFS pointer, not the file itself; run `git lfs pull`");
    return refuse(ErrorCode::bad_file, "not a GGUF file: it starts with \"", printable(magic), "\", not \"GGUF\"");
  }
  if (!number(shard_.version)) return false;
  if (shard_.version != 0 && (shard_.version & 0xffff) == 0)
    return refuse(ErrorCode::unsupported, "big-endian GGUF; convert the model to little-endian");
  if (shard_.version == 1)
    return refuse(ErrorCode::unsupported, "GGUF version 1; versions 2 and 3 can be read, convert the model anew");
  if (shard_.version != 2 && shard_.version != 3)
    return refuse(ErrorCode::unsupported, "GGUF version ", shard_.version, "; versions 2 and 3 can be read");
  if (!number(tensors)) return false;
  if (tensors > left() / kMinRecord)
    return refuse(ErrorCode::bad_file, "count of ", tensors, " tensors does not fit in the ", left(), " bytes that follow");
  if (!number(entries)) return false;
  if (entries > left() / kMinEntry)
    return refuse(ErrorCode::bad_file, "count of ", entries, " keys does not fit in the ", left(), " bytes that follow");
  return true;
}

bool Reader::entry(std::uint64_t index) {
  about("key", index + 1);
  Entry made;
  std::uint64_t length = 0;
  if (!number(length)) return false;
  if (length == 0) return refuse(ErrorCode::bad_file, "the key is empty");
  if (length > kMaxKeyBytes)
    return refuse(ErrorCode::bad_file, "the key has ", length, " bytes, allowed are ", kMaxKeyBytes);
  if (!text(length, made.key)) return false;
  about("key", 0, made.key);
  std::uint32_t type = 0;
  if (!number(type)) return false;
  if (type >= kValueTypes) return refuse(ErrorCode::bad_file, "value type number ", type, " is unknown");
  Value& value = made.value;
  value.type_ = static_cast<ValueType>(type);
  if (value.type_ == ValueType::array) {
    if (!array(value)) return false;
  } else if (value.type_ == ValueType::string) {
    if (!number(value.length_) || !take(value.length_, value.data_)) return false;
  } else {
    if (!take(value_size(value.type_), value.data_)) return false;
    if (value.type_ == ValueType::boolean && !booleans(value.data_, 1)) return false;
  }
  shard_.entries.push_back(made);
  return true;
}

bool Reader::array(Value& value) {
  std::uint32_t type = 0;
  if (!number(type)) return false;
  if (type >= kValueTypes) return refuse(ErrorCode::bad_file, "element type number ", type, " is unknown");
  value.element_type_ = static_cast<ValueType>(type);
  if (value.element_type_ == ValueType::array)
    return refuse(ErrorCode::unsupported, "an array of arrays; only arrays of numbers, booleans and strings can be read");
  if (!number(value.count_)) return false;
  // The smallest string is its length alone.
  const std::uint64_t size = value.element_type_ == ValueType::string ? 8 : value_size(value.element_type_);
  if (value.count_ > left() / size)
    return refuse(ErrorCode::bad_file, "count of ", value.count_, " elements of type ", gguf::name(value.element_type_),
                  " does not fit in the ", left(), " bytes that follow");
  if (value.element_type_ == ValueType::string) return string_array(value);
  if (!take(value.count_ * size, value.data_)) return false;
  return value.element_type_ != ValueType::boolean || booleans(value.data_, value.count_);
}

bool Reader::string_array(Value& value) {
  auto index = std::make_unique<std::vector<std::string_view>>();
  index->reserve(static_cast<std::size_t>(value.count_));
  for (std::uint64_t i = 0; i < value.count_; ++i) {
    std::uint64_t length = 0;
    std::string_view string;
    if (!number(length) || !text(length, string)) return false;
    index->push_back(string);
  }
  value.strings_ = index.get();
  shard_.strings.push_back(std::move(index));
  return true;
}

bool Reader::booleans(const std::byte* data, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (data[i] <= std::byte{1}) continue;
    mark_ += i;
    return refuse(ErrorCode::bad_file, "boolean of value ", static_cast<unsigned>(data[i]), ", allowed are 0 and 1");
  }
  return true;
}

bool Reader::unique_keys(const std::vector<std::uint64_t>& starts) {
  const auto& entries = shard_.entries;
  const auto order = sorted_indices(entries.size(), [&](auto a, auto b) { return entries[a].key < entries[b].key; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (entries[order[i]].key != entries[order[i - 1]].key) continue;
    about("key", 0, entries[order[i]].key);
    mark_ = starts[order[i]];
    return refuse(ErrorCode::bad_file, "appears a second time, first at byte ", starts[order[i - 1]]);
  }
  return true;
}

bool Reader::read_alignment() {
  for (const Entry& entry : shard_.entries) {
    if (entry.key != "general.alignment") continue;
    about("key", 0, entry.key);
    mark_ = static_cast<std::uint64_t>((entry.value.type_ == ValueType::array ? base_ : entry.value.data_) - base_);
    const auto alignment = entry.value.as_unsigned();
    if (!alignment)
      return refuse(ErrorCode::bad_file, "has type ", gguf::name(entry.value.type()), ", wanted is a positive integer");
    if (!alignment_is_valid(*alignment))
      return refuse(ErrorCode::bad_file, "is ", *alignment, ", allowed are powers of two from 8 to ", kMaxAlignment);
    shard_.alignment = *alignment;
  }
  return true;
}

/// One entry of the tensor directory; its offset is still that in the file, counted from the data section.
bool Reader::record(std::uint64_t index) {
  about("tensor", index + 1);
  Tensor tensor;
  std::uint64_t length = 0;
  if (!number(length)) return false;
  if (length == 0) return refuse(ErrorCode::bad_file, "the name is empty");
  if (length > kMaxTensorNameBytes)
    return refuse(ErrorCode::bad_file, "the name has ", length, " bytes, allowed are ", kMaxTensorNameBytes);
  if (!text(length, tensor.name)) return false;
  about("tensor", 0, tensor.name);
  std::uint32_t dims = 0;
  if (!number(dims)) return false;
  if (dims == 0 || dims > kMaxDims)
    return refuse(ErrorCode::bad_file, "has ", dims, " dimensions, allowed are 1 to ", kMaxDims);
  tensor.dims = static_cast<int>(dims);
  for (std::uint32_t d = 0; d < dims; ++d)
    if (!number(tensor.ne[d])) return false;
  std::uint32_t type = 0;
  if (!number(type)) return false;
  tensor.type = static_cast<TensorType>(type);
  const auto bytes = tensor_bytes(tensor.type, std::span(tensor.ne).first(dims));
  if (!bytes) return refuse(bytes.error().code, bytes.error().message);
  tensor.bytes = *bytes;
  if (!number(tensor.offset)) return false;
  if (tensor.offset % shard_.alignment != 0)
    return refuse(ErrorCode::bad_file, "offset ", tensor.offset, " is not a multiple of the alignment ", shard_.alignment);
  shard_.tensors.push_back(tensor);
  return true;
}

bool Reader::unique_tensors(const std::vector<std::uint64_t>& starts) {
  const auto& tensors = shard_.tensors;
  const auto order = sorted_indices(tensors.size(), [&](auto a, auto b) { return tensors[a].name < tensors[b].name; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (tensors[order[i]].name != tensors[order[i - 1]].name) continue;
    about("tensor", 0, tensors[order[i]].name);
    mark_ = starts[order[i]];
    return refuse(ErrorCode::bad_file, "appears a second time, first at byte ", starts[order[i - 1]]);
  }
  return true;
}

/// Turns offsets into offsets from the start of the file, all data inside it.
bool Reader::place_tensors(const std::vector<std::uint64_t>& starts) {
  const std::uint64_t data = *checked_align(at_, shard_.alignment);  // at_ <= kMaxHeader
  for (std::size_t i = 0; i < shard_.tensors.size(); ++i) {
    Tensor& tensor = shard_.tensors[i];
    about("tensor", 0, tensor.name);
    mark_ = starts[i];
    const auto first = checked_add(data, tensor.offset);
    const auto last = first ? checked_add(*first, tensor.bytes) : first;
    if (!last) return refuse(ErrorCode::bad_file, "offset ", tensor.offset, " lies beyond the largest possible file");
    if (*last > file_bytes_)
      return refuse(ErrorCode::bad_file, "data ends at byte ", *last, ", the file at byte ", file_bytes_,
                    "; it is cut short or damaged");
    tensor.offset = *first;
  }
  return true;
}

bool Reader::separate_tensors(const std::vector<std::uint64_t>& starts) {
  const auto& tensors = shard_.tensors;
  const auto order = sorted_indices(tensors.size(), [&](auto a, auto b) { return tensors[a].offset < tensors[b].offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const Tensor& before = tensors[order[i - 1]];
    const Tensor& tensor = tensors[order[i]];
    if (before.offset + before.bytes <= tensor.offset) continue;
    about("tensor", 0, tensor.name);
    mark_ = starts[order[i]];
    return refuse(ErrorCode::bad_file, "data at byte ", tensor.offset, " overlaps tensor ", printable(before.name),
                  ", which ends at byte ", before.offset + before.bytes);
  }
  return true;
}

bool Reader::parse() {
  // Grown as entries prove to exist, not reserved: a count alone is not to be believed.
  std::vector<std::uint64_t> starts;
  std::uint64_t tensors = 0, entries = 0;
  if (!start(tensors, entries)) return false;
  for (std::uint64_t i = 0; i < entries; ++i) {
    starts.push_back(at_);
    if (!entry(i)) return false;
  }
  if (!unique_keys(starts) || !read_alignment()) return false;
  starts.clear();
  for (std::uint64_t i = 0; i < tensors; ++i) {
    starts.push_back(at_);
    if (!record(i)) return false;
  }
  return unique_tensors(starts) && place_tensors(starts) && separate_tensors(starts);
}

/// From here on huge pages save most of the cost of touching new memory.
static constexpr std::uint64_t kHugeHeader = std::uint64_t{4} << 20;

/// Parses what is mapped, or reads more and more of the file until a parse has all it needs. Each round holds four times
/// the bytes of the one before, so the repeated work stays below a third.
static Result<void> parse_header(Shard& shard) {
  const std::uint64_t file_bytes = shard.file->size();
  std::uint64_t held = std::min<std::uint64_t>(file_bytes, std::uint64_t{1} << 20);
  for (;;) {
    std::span<const std::byte> bytes = shard.mapping;
    if (bytes.empty()) {
      auto pages = platform::Pages::allocate(static_cast<std::size_t>(held), held >= kHugeHeader);
      if (!pages) return fail(pages.error().code, shard.path, ": header: ", pages.error().message);
      const std::span<std::byte> room(pages->data(), pages->size());
      if (auto done = shard.file->read(0, room); !done) return done.error();
      shard.header = std::move(*pages);
      bytes = room;
    }
    shard.entries.clear();
    shard.strings.clear();
    shard.tensors.clear();
    Reader reader(shard, bytes, file_bytes);
    if (reader.parse()) return {};
    if (reader.wanted() == 0) return reader.take_error();
    held = std::min(file_bytes, std::max(held * 4, reader.wanted()));
  }
}

Result<Shard> read_shard(const std::string& path, bool map) {
  auto file = platform::InputFile::open(path);
  if (!file) return file.error();
  Shard shard;
  shard.path = path;
  shard.file = std::move(*file);
  if (shard.file->size() == 0) return fail(ErrorCode::bad_file, path, ": the file is empty");
  if (map) {
    if (auto mapping = shard.file->map()) shard.mapping = *mapping;
  }
  if (auto parsed = parse_header(shard); !parsed) return parsed.error();
  return shard;
}

}  // namespace strata::gguf
