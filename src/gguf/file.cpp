// Owns: an opened model: one file or all files of a split, with an index by name. Knows how splits are named and
// numbered; parsing is reader.cpp's.
#include "gguf/file.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <stdexcept>
#include <utility>

#include "base/text.h"
#include "gguf/geometry.h"
#include "gguf/reader.h"

namespace strata::gguf {

namespace {

/// What a file says about its place in a split.
struct Place {
  std::uint64_t number = 0;   ///< split.no, from 0
  std::uint64_t count = 1;    ///< split.count
  std::uint64_t tensors = 0;  ///< split.tensors.count, of all files together
};

const Value* find_in(const Shard& shard, std::string_view key) {
  for (const Entry& entry : shard.entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

/// A required non-negative integer of a file that belongs to a split.
Result<std::uint64_t> split_number(const Shard& shard, std::string_view key) {
  const Value* value = find_in(shard, key);
  if (value == nullptr) return fail(ErrorCode::bad_file, shard.path, ": key ", key, " is missing, though split.count is there");
  const auto number = value->as_unsigned();
  if (!number) return fail(ErrorCode::bad_file, shard.path, ": key ", key, ": is not a non-negative integer");
  return *number;
}

Result<Place> place_of(const Shard& shard) {
  Place place;
  place.tensors = shard.tensors.size();
  if (find_in(shard, "split.count") == nullptr) return place;
  const auto count = split_number(shard, "split.count");
  if (!count) return count.error();
  const auto number = split_number(shard, "split.no");
  if (!number) return number.error();
  const auto tensors = split_number(shard, "split.tensors.count");
  if (!tensors) return tensors.error();
  if (*count == 0 || *count > kMaxShards)
    return fail(ErrorCode::bad_file, shard.path, ": key split.count: is ", *count, ", allowed are 1 to ", kMaxShards);
  if (*number >= *count)
    return fail(ErrorCode::bad_file, shard.path, ": key split.no: is ", *number, ", but split.count is ", *count);
  return Place{*number, *count, *tensors};
}

/// The path without its "-00001-of-00003.gguf"; an error where it does not end so.
Result<std::string> prefix_of(const std::string& path, const Place& place) {
  const std::string suffix = shard_suffix(place.number, place.count);
  if (path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  return fail(ErrorCode::bad_file, path, ": is file ", place.number + 1, " of ", place.count,
              " of a split model, so its name must end in ", suffix, "; give all files their names back");
}

}  // namespace

struct File::State {
  std::vector<Shard> shards;
  std::vector<Tensor> tensors;  ///< of all shards, in their order
  std::vector<std::uint32_t> entry_order;   ///< entries of shard 0 by key
  std::vector<std::uint32_t> tensor_order;  ///< tensors by name
  std::uint64_t bytes = 0;

  const std::vector<Entry>& entries() const { return shards[0].entries; }
  void add(Shard shard);
  Result<void> add_others(const Place& place, bool map);
  Result<void> index();
};

void File::State::add(Shard shard) {
  bytes += shard.file->size();
  for (Tensor tensor : shard.tensors) {
    tensor.shard = static_cast<int>(shards.size());
    tensors.push_back(tensor);
  }
  shard.tensors = {};
  shards.push_back(std::move(shard));
}

Result<void> File::State::index() {
  entry_order = sorted_indices(entries().size(), [&](auto a, auto b) { return entries()[a].key < entries()[b].key; });
  tensor_order = sorted_indices(tensors.size(), [&](auto a, auto b) { return tensors[a].name < tensors[b].name; });
  for (std::size_t i = 1; i < tensor_order.size(); ++i) {
    const Tensor& before = tensors[tensor_order[i - 1]];
    const Tensor& tensor = tensors[tensor_order[i]];
    if (before.name == tensor.name)
      return fail(ErrorCode::bad_file, shards[static_cast<std::size_t>(tensor.shard)].path, ": tensor ",
                  printable(tensor.name), ": is also in ", shards[static_cast<std::size_t>(before.shard)].path);
  }
  return {};
}

/// Opens the other files of a split, whose first file is here already.
Result<void> File::State::add_others(const Place& place, bool map) {
  const std::string first = shards[0].path;
  const auto prefix = prefix_of(first, place);
  if (!prefix) return prefix.error();
  if (place.number != 0)
    return fail(ErrorCode::invalid_argument, first, ": is file ", place.number + 1, " of ", place.count,
                " of a split model; open ", *prefix, shard_suffix(0, place.count));
  for (std::uint64_t i = 1; i < place.count; ++i) {
    const std::string path = *prefix + shard_suffix(i, place.count);
    auto shard = read_shard(path, map);
    if (!shard) {
      if (shard.error().code != ErrorCode::not_found) return shard.error();
      return fail(ErrorCode::not_found, path, ": no such file, but ", first, " says that the model has ", place.count, " files");
    }
    const auto other = place_of(*shard);
    if (!other) return other.error();
    if (other->number != i || other->count != place.count || other->tensors != place.tensors)
      return fail(ErrorCode::bad_file, path, ": says it is file ", other->number + 1, " of ", other->count, " with ",
                  other->tensors, " tensors in all, expected is file ", i + 1, " of ", place.count, " with ", place.tensors,
                  "; it belongs to another model");
    add(std::move(*shard));
  }
  if (tensors.size() != place.tensors)
    return fail(ErrorCode::bad_file, first, ": key split.tensors.count: is ", place.tensors, ", but the ", place.count,
                " files hold ", tensors.size(), " tensors");
  return {};
}

Result<std::shared_ptr<const File>> File::open(const std::string& path, const OpenOptions& options) {
  try {
    auto state = std::make_unique<State>();
    auto shard = read_shard(path, options.map);
    if (!shard) return shard.error();
    const auto place = place_of(*shard);
    if (!place) return place.error();
    state->add(std::move(*shard));
    if (place->count > 1) {
      if (auto added = state->add_others(*place, options.map); !added) return added.error();
    } else if (state->tensors.size() != place->tensors) {
      return fail(ErrorCode::bad_file, path, ": key split.tensors.count: is ", place->tensors, ", but the file holds ",
                  state->tensors.size(), " tensors");
    }
    if (auto indexed = state->index(); !indexed) return indexed.error();
    return std::shared_ptr<const File>(new File(std::move(state)));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, path, ": too little memory to hold the header");
  } catch (const std::length_error&) {
    return fail(ErrorCode::out_of_memory, path, ": too little memory to hold the header");
  }
}

File::File(std::unique_ptr<State> state) : state_(std::move(state)) {}
File::~File() = default;

const std::string& File::path() const { return state_->shards[0].path; }
std::uint32_t File::version() const { return state_->shards[0].version; }
std::uint64_t File::alignment() const { return state_->shards[0].alignment; }
int File::shards() const { return static_cast<int>(state_->shards.size()); }
std::uint64_t File::file_bytes() const { return state_->bytes; }
std::span<const Entry> File::metadata() const { return state_->entries(); }
std::span<const Tensor> File::tensors() const { return state_->tensors; }

const Value* File::find(std::string_view key) const {
  const auto& entries = state_->entries();
  const auto& order = state_->entry_order;
  const auto less = [&](std::uint32_t i, std::string_view wanted) { return entries[i].key < wanted; };
  const auto found = std::lower_bound(order.begin(), order.end(), key, less);
  return found != order.end() && entries[*found].key == key ? &entries[*found].value : nullptr;
}

const Tensor* File::find_tensor(std::string_view wanted) const {
  const auto& tensors = state_->tensors;
  const auto& order = state_->tensor_order;
  const auto less = [&](std::uint32_t i, std::string_view text) { return tensors[i].name < text; };
  const auto found = std::lower_bound(order.begin(), order.end(), wanted, less);
  return found != order.end() && tensors[*found].name == wanted ? &tensors[*found] : nullptr;
}

std::span<const std::byte> File::mapped(const Tensor& tensor) const {
  const auto& mapping = state_->shards[static_cast<std::size_t>(tensor.shard)].mapping;
  if (mapping.empty()) return {};
  assert(tensor.offset <= mapping.size() && tensor.bytes <= mapping.size() - tensor.offset);
  return mapping.subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.bytes));
}

Result<void> File::read(const Tensor& tensor, std::uint64_t offset, std::span<std::byte> out) const {
  const Shard& shard = state_->shards[static_cast<std::size_t>(tensor.shard)];
  if (offset > tensor.bytes || out.size() > tensor.bytes - offset)
    return fail(ErrorCode::invalid_argument, shard.path, ": tensor ", printable(tensor.name), ": ", out.size(),
                " bytes from byte ", offset, " on are not within its ", tensor.bytes, " bytes");
  auto done = shard.file->read(tensor.offset + offset, out);
  if (!done) return fail(done.error().code, done.error().message, " (tensor ", printable(tensor.name), ")");
  return {};
}

}  // namespace strata::gguf
