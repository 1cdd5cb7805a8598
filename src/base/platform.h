// Owns: every call into the operating system: mapping files, pages, processors, memory figures. A new system means a
// new platform_<system>.cpp and nothing else. Knows nothing of GGUF, models or devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strata/result.h"

namespace strata::platform {

/// A file opened for reading. Thread-safe after construction.
class InputFile {
 public:
  static Result<std::unique_ptr<InputFile>> open(const std::string& path);
  virtual ~InputFile() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills `out` from byte `offset` on; an error when the file ends before that (it may have been truncated meanwhile).
  virtual Result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  /// The whole file, read-only and lazily paged in; an error where the system or the file system cannot map.
  /// The mapping lives as long as this object. An empty file maps to an empty span. Where another process cuts the file
  /// short afterwards, touching the lost pages kills this one (SIGBUS on Linux): replace model files, do not overwrite
  /// them. `read` reports the same as an error.
  virtual Result<std::span<const std::byte>> map() = 0;
};

/// Writes a file under a temporary name beside `path` and renames it in `commit`, so that no half-written file is ever
/// seen under `path`. Destroying it without `commit` removes the temporary file.
class OutputFile {
 public:
  static Result<std::unique_ptr<OutputFile>> create(const std::string& path);
  virtual ~OutputFile() = default;
  virtual Result<void> write(std::span<const std::byte> bytes) = 0;
  virtual Result<void> commit() = 0;
};

/// Anonymous zero-filled memory, page-aligned; backed by huge pages when asked for and granted.
class Pages {
 public:
  Pages() = default;
  static Result<Pages> allocate(std::size_t bytes, bool huge);
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  ~Pages();
  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  /// Asks for pages of the default size even where the system would give huge ones by itself; before they are touched.
  void refuse_huge();

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A physical core: those of its logical processors that the calling thread may run on, in the system's numbering, and the
/// node of memory that is nearest to it (NUMA).
struct Core {
  std::vector<int> processors;
  int node = 0;
};
/// At least one. Cores of a node come one after the other, within it those that share their largest cache.
std::vector<Core> physical_cores();
/// The cores of some processors by what a folder says that is laid out as Linux's /sys/devices/system: one node and a
/// core for each processor where it says nothing.
std::vector<Core> cores_of(std::span<const int> processors, const std::string& folder);
/// The logical processors that the calling thread may run on.
std::vector<int> thread_processors();
/// Keeps the calling thread to some logical processors; false where the system refuses.
bool keep_thread_to(std::span<const int> processors);
/// Bytes of the largest cache of a processor; 32 MiB where the system does not tell.
std::size_t last_cache();
/// Bytes of memory that could be taken without swapping; 0 where unknown.
std::uint64_t available_memory();
/// Bytes of memory in the machine, or in the process's limit (cgroup) when that is lower; 0 where unknown.
std::uint64_t total_memory();
/// Largest resident size of this process so far, in bytes; 0 where unknown.
std::uint64_t peak_memory();
/// The processor's marketing name, or "unknown".
std::string processor_name();

}  // namespace strata::platform
