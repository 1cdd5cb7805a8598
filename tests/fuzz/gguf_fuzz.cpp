// Owns: the fuzzer of the GGUF reader: any bytes either open or are refused, mapped and unmapped alike, and all that an
// opened file offers can be touched. What opens can be written anew and opens again. Knows gguf's reader and writer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gguf/file.h"
#include "gguf/writer.h"

using namespace strata;

namespace {

/// libFuzzer counts a trap as a finding and keeps the input.
void require(bool condition) {
  if (!condition) __builtin_trap();
}

/// A folder of this process's own: parallel jobs run in processes of their own.
const std::string& folder() {
  static const std::string path = [] {
    for (int i = 0;; ++i) {
      const auto candidate = std::filesystem::temp_directory_path() / ("strata-fuzz-" + std::to_string(i));
      if (std::filesystem::create_directory(candidate)) {
        static std::filesystem::path kept = candidate;
        std::atexit([] { std::filesystem::remove_all(kept); });
        return candidate.string();
      }
    }
  }();
  return path;
}

/// Reads every value and byte; the sum keeps the compiler from leaving that out.
std::uint64_t touch(const gguf::File& file) {
  std::uint64_t sum = 0;
  const auto touch_value = [&](const gguf::Value& value) {
    sum += value.as_unsigned().value_or(0) + static_cast<std::uint64_t>(value.as_signed().value_or(0));
    sum += value.as_bool().value_or(false) + (value.as_float().value_or(0) > 0);
    for (char c : value.as_string().value_or("")) sum += static_cast<unsigned char>(c);
  };
  for (const gguf::Entry& entry : file.metadata()) {
    require(!entry.key.empty());
    require(file.find(entry.key) == &entry.value);
    touch_value(entry.value);
    if (entry.value.type() == gguf::ValueType::array)
      for (std::uint64_t i = 0; i < entry.value.count(); ++i) touch_value(entry.value.element(i));
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    require(file.find_tensor(tensor.name) == &tensor);
    require(tensor.elements() > 0 && tensor.bytes > 0);
    std::vector<std::byte> bytes(tensor.bytes);
    require(file.read(tensor, 0, bytes).ok());
    const auto view = file.mapped(tensor);
    for (std::size_t i = 0; i < view.size(); ++i) require(view[i] == bytes[i]);
    for (std::byte b : bytes) sum += static_cast<unsigned>(b);
  }
  return sum;
}

void rewrite(const gguf::File& file) {
  gguf::Writer writer;
  for (const gguf::Entry& entry : file.metadata()) writer.set(std::string(entry.key), gguf::copy(entry.value));
  for (const gguf::Tensor& tensor : file.tensors())
    writer.add({std::string(tensor.name), tensor.type,
                std::vector<std::uint64_t>(tensor.ne.begin(), tensor.ne.begin() + tensor.dims),
                [&file, &tensor](std::uint64_t offset, std::span<std::byte> out) { return file.read(tensor, offset, out); }});
  const std::string path = folder() + "/again.gguf";
  require(writer.write(path).ok());
  const auto again = gguf::File::open(path);
  require(again.ok());
  require((*again)->tensors().size() == file.tensors().size());
  for (std::size_t i = 0; i < file.tensors().size(); ++i) {
    const gguf::Tensor& tensor = (*again)->tensors()[i];
    require(tensor.name == file.tensors()[i].name && tensor.bytes == file.tensors()[i].bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string path = folder() + "/input.gguf";
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto mapped = gguf::File::open(path, {.map = true});
  const auto plain = gguf::File::open(path, {.map = false});
  require(mapped.ok() == plain.ok());
  if (!mapped) {
    require(mapped.error().message == plain.error().message);
    require(mapped.error().message.find('\n') == std::string::npos);
    return 0;
  }
  require(touch(**mapped) == touch(**plain));
  rewrite(**mapped);
  return 0;
}
