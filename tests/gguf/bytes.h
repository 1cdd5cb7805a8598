// Owns: building GGUF files byte by byte, right and wrong ones, in a folder of the test's own. Knows the file layout;
// independent of strata's writer.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "support/catch.h"

namespace strata::test {

/// A new folder, removed with all it holds at the end of the scope.
class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> count = 0;
    const auto base = std::filesystem::temp_directory_path();
    do path_ = base / ("strata-test-" + std::to_string(count++));
    while (!std::filesystem::create_directory(path_));
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and gives its path.
  std::string put(const std::string& name, const std::string& bytes) const {
    const std::string path = *this / name;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }
  /// Names in the folder.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) out.push_back(entry.path().filename().string());
    return out;
  }

 private:
  std::filesystem::path path_;
};

/// Value type numbers of the format.
enum : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

struct Bytes {
  std::string data;

  template <class Number>
  Bytes& put(Number number) {
    data.append(reinterpret_cast<const char*>(&number), sizeof number);
    return *this;
  }
  Bytes& u8(std::uint8_t n) { return put(n); }
  Bytes& u32(std::uint32_t n) { return put(n); }
  Bytes& u64(std::uint64_t n) { return put(n); }
  Bytes& raw(std::string_view bytes) {
    data += bytes;
    return *this;
  }
  Bytes& text(std::string_view s) { return u64(s.size()).raw(s); }
  Bytes& pad(std::size_t alignment = 32) {
    data.resize((data.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  Bytes& zeros(std::size_t count) {
    data.append(count, '\0');
    return *this;
  }

  Bytes& header(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(tensors).u64(entries);
  }
  /// A key and the type of its value, which is to follow.
  Bytes& key(std::string_view name, std::uint32_t type) { return text(name).u32(type); }
  Bytes& array(std::string_view name, std::uint32_t element, std::uint64_t count) {
    return key(name, kArray).u32(element).u64(count);
  }
  Bytes& tensor(std::string_view name, const std::vector<std::uint64_t>& ne, std::uint32_t type, std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(ne.size()));
    for (auto n : ne) u64(n);
    return u32(type).u64(offset);
  }
};

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// Opens `path` both ways, checks that they agree and that the message is one line about this file; gives the message,
/// or "" where the file opens.
inline std::string open_error(const std::string& path) {
  const auto mapped = gguf::File::open(path, {.map = true});
  const auto plain = gguf::File::open(path, {.map = false});
  REQUIRE(mapped.ok() == plain.ok());
  if (mapped) return "";
  CHECK(mapped.error().message == plain.error().message);
  CHECK(mapped.error().code == plain.error().code);
  const std::string message = mapped.error().message;
  CHECK(!message.empty());
  CHECK(!contains(message, "\n"));
  CHECK(contains(message, path));
  return message;
}

/// The message for a file of these bytes, less the file's path.
inline std::string bytes_error(const TempFolder& folder, const std::string& bytes) {
  const std::string path = folder.put("model.gguf", bytes);
  const std::string message = open_error(path);
  if (message.empty()) return message;
  REQUIRE(message.rfind(path + ": ", 0) == 0);
  return message.substr(path.size() + 2);
}

}  // namespace strata::test
