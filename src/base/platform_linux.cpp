// Owns: platform.h for Linux. Knows mmap, /proc, sysfs and cgroups; knows nothing of GGUF, models or devices.
#include "base/platform.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "base/text.h"

namespace strata::platform {
namespace {

std::string system_message(int code) { return std::system_category().message(code); }

/// A file descriptor, closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// Opens without waiting for a FIFO's writer or for a terminal.
int open_for_reading(const std::string& path) {
  int number;
  do number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (number < 0 && errno == EINTR);
  return number;
}

Result<void> check_regular(const std::string& path, const struct stat& info) {
  if (S_ISREG(info.st_mode)) return {};
  if (S_ISDIR(info.st_mode)) return fail(ErrorCode::io, path, ": is a directory; give the path of a file");
  const char* kind = S_ISFIFO(info.st_mode) ? "a pipe" : S_ISSOCK(info.st_mode) ? "a socket" : "a device";
  return fail(ErrorCode::io, path, ": is ", kind, ", not a regular file; give the path of a file on disk");
}

Result<void> check_path(const std::string& path) {
  if (path.empty()) return fail(ErrorCode::invalid_argument, "the file name is empty; give the path of a file");
  if (path.find('\0') != std::string::npos)
    return fail(ErrorCode::invalid_argument, path.c_str(), ": the path holds a zero byte");
  return {};
}

class LinuxInputFile final : public InputFile {
 public:
  LinuxInputFile(std::string path, int descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  ~LinuxInputFile() override {
    if (mapping_ != nullptr) ::munmap(mapping_, static_cast<std::size_t>(size_));
  }

  std::uint64_t size() const override { return size_; }

  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    const auto stop = checked_add(offset, out.size());
    if (!stop || *stop > size_) return ends_early(size_, offset, out.size());
    while (!out.empty()) {
      const ssize_t got = ::pread(descriptor_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(ErrorCode::io, path_, ": cannot read at byte ", offset, ": ", system_message(errno));
      if (got == 0) return ends_early(offset, offset, out.size());
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return {};
  }

  Result<std::span<const std::byte>> map() override {
    if (size_ == 0) return std::span<const std::byte>{};
    std::lock_guard lock(mutex_);
    if (mapping_ == nullptr) {
      void* start = ::mmap(nullptr, static_cast<std::size_t>(size_), PROT_READ, MAP_SHARED, descriptor_.get(), 0);
      if (start == MAP_FAILED) return fail(ErrorCode::io, path_, ": cannot map: ", system_message(errno));
      mapping_ = start;
    }
    return std::span(static_cast<const std::byte*>(mapping_), static_cast<std::size_t>(size_));
  }

 private:
  Error ends_early(std::uint64_t end, std::uint64_t offset, std::uint64_t wanted) const {
    return fail(ErrorCode::io, path_, ": the file ends at byte ", end, ", ", wanted, " bytes from byte ", offset,
                " on were wanted; it was cut short");
  }

  std::string path_;
  Descriptor descriptor_;
  std::uint64_t size_;
  std::mutex mutex_;  ///< guards mapping_ while it is made
  void* mapping_ = nullptr;
};

class LinuxOutputFile final : public OutputFile {
 public:
  LinuxOutputFile(std::string path, std::string temporary, int descriptor)
      : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}
  ~LinuxOutputFile() override {
    if (!committed_) ::unlink(temporary_.c_str());
  }

  Result<void> write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t put = ::write(descriptor_.get(), bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return fail(ErrorCode::io, path_, ": cannot write: ", system_message(errno));
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }

  /// The data reach the disk before the name does: a crash leaves the old file or the new one.
  Result<void> commit() override {
    const int synced = ::fsync(descriptor_.get()) == 0 || errno == EINVAL ? 0 : errno;
    const int closed = ::close(descriptor_.release()) == 0 ? 0 : errno;
    if (synced != 0 || closed != 0)
      return fail(ErrorCode::io, path_, ": cannot write: ", system_message(synced != 0 ? synced : closed));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0)
      return fail(ErrorCode::io, path_, ": cannot rename ", temporary_, " to it: ", system_message(errno));
    committed_ = true;
    return {};
  }

 private:
  std::string path_;
  std::string temporary_;
  Descriptor descriptor_;
  bool committed_ = false;
};

}  // namespace

Result<std::unique_ptr<InputFile>> InputFile::open(const std::string& path) {
  if (auto fine = check_path(path); !fine) return fine.error();
  // Looked at before it is opened: opening a device can have effects of its own.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorCode::not_found, path, ": no such file");
    return fail(ErrorCode::io, path, ": cannot open: ", system_message(errno));
  }
  if (auto regular = check_regular(path, info); !regular) return regular.error();
  Descriptor descriptor(open_for_reading(path));
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &info) != 0)
    return fail(ErrorCode::io, path, ": cannot open: ", system_message(errno));
  if (auto regular = check_regular(path, info); !regular) return regular.error();
  return std::unique_ptr<InputFile>(
      std::make_unique<LinuxInputFile>(path, descriptor.release(), static_cast<std::uint64_t>(info.st_size)));
}

Result<std::unique_ptr<OutputFile>> OutputFile::create(const std::string& path) {
  if (auto fine = check_path(path); !fine) return fine.error();
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (auto regular = check_regular(path, info); !regular) return regular.error();
  }
  // Not mkstemp: the file is to get the permissions that the user's umask gives to any new file.
  static std::atomic<unsigned> counter = 0;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string temporary = str(path, ".part-", ::getpid(), "-", counter.fetch_add(1));
    const int number = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (number >= 0)
      return std::unique_ptr<OutputFile>(std::make_unique<LinuxOutputFile>(path, std::move(temporary), number));
    if (errno != EEXIST && errno != EINTR)
      return fail(ErrorCode::io, path, ": cannot create: ", system_message(errno));
  }
  return fail(ErrorCode::io, path, ": cannot create a temporary file beside it; remove old *.part-* files");
}

Result<Pages> Pages::allocate(std::size_t bytes, bool huge) {
  constexpr std::size_t kHuge = std::size_t{2} << 20;
  Pages pages;
  if (bytes == 0) return pages;
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto rounded = checked_align(bytes, page);
  const auto reserved = rounded ? checked_add(*rounded, huge ? kHuge : 0) : rounded;
  void* start = MAP_FAILED;
  if (reserved)
    start = ::mmap(nullptr, *reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED)
    return fail(ErrorCode::out_of_memory, "cannot get ", bytes, " bytes of memory from the system");
  pages.data_ = static_cast<std::byte*>(start);
  pages.size_ = bytes;
  if (huge) {
    // Keep the rounded length from the first 2 MiB boundary on and give the rest back.
    const auto address = reinterpret_cast<std::uintptr_t>(start);
    const std::size_t head = (kHuge - address % kHuge) % kHuge;
    pages.data_ += head;
    if (head != 0) ::munmap(start, head);
    ::munmap(pages.data_ + *rounded, kHuge - head);
    ::madvise(pages.data_, *rounded, MADV_HUGEPAGE);  // a wish: small pages serve as well
  }
  return pages;
}

void Pages::refuse_huge() {
  if (data_ != nullptr) ::madvise(data_, size_, MADV_NOHUGEPAGE);  // a wish, too
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Pages::~Pages() {
  if (data_ != nullptr) ::munmap(data_, size_);  // rounds the length up to whole pages
}

namespace {

/// A file of /proc or /sys, whose size is not known beforehand; nothing where it cannot be read.
std::optional<std::string> read_small(const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  if (std::from_chars(text.data() + first, text.data() + text.size(), number).ec != std::errc{}) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  const auto text = read_small(path);
  return text ? number_in(*text) : std::nullopt;
}

/// What follows `label` on the first line that starts with it.
std::optional<std::string> field(const std::string& path, std::string_view label) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(label)) return line.substr(label.size());
  return std::nullopt;
}

std::optional<std::uint64_t> field_number(const std::string& path, std::string_view label) {
  const auto text = field(path, label);
  return text ? number_in(*text) : std::nullopt;
}

/// "0-3,8": what sysfs calls a list; what is none of it ends it.
std::vector<int> list_in(const std::string& path) {
  constexpr int kMost = 1 << 20;
  std::vector<int> out;
  const std::string text = read_small(path).value_or("");
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end; ++at) {
    int first = 0, last = 0;
    auto read = std::from_chars(at, end, first);
    if (read.ec != std::errc{}) break;
    last = first;
    if (read.ptr != end && *read.ptr == '-') {
      read = std::from_chars(read.ptr + 1, end, last);
      if (read.ec != std::errc{}) break;
    }
    if (first < 0 || last < first || last >= kMost) break;
    for (int i = first; i <= last; ++i) out.push_back(i);
    if (read.ptr == end || *read.ptr != ',') break;
    at = read.ptr;
  }
  return out;
}

/// By processor, its node. Nodes are numbered, with gaps where some are offline.
std::map<int, int> nodes_in(const std::string& folder) {
  constexpr std::string_view kNode = "node";
  std::map<int, int> node_of;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const auto node = name.starts_with(kNode) ? number_in(std::string_view(name).substr(kNode.size())) : std::nullopt;
    if (!node || *node > 1 << 20) continue;
    for (int processor : list_in(entry->path().string() + "/cpulist")) node_of[processor] = static_cast<int>(*node);
  }
  return node_of;
}

/// The processors that share a processor's largest cache.
std::vector<int> cache_of(const std::string& cpu_folder) {
  std::vector<int> out;
  std::uint64_t highest = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string folder = str(cpu_folder, "/cache/index", index, "/");
    const auto level = read_number(folder + "level");
    if (!level || *level < highest) continue;
    highest = *level;
    out = list_in(folder + "shared_cpu_list");
  }
  return out;
}

struct MemoryLimit {
  std::optional<std::uint64_t> limit;      ///< bytes; nothing where there is none
  std::optional<std::uint64_t> available;  ///< bytes left below it, page cache counted as free
};

void lower(std::optional<std::uint64_t>& value, std::uint64_t other) { value = value ? std::min(*value, other) : other; }

/// Walks from the process's control group up to the root: each one's limit holds. In a container the group's path may
/// name folders that are not visible inside; the walk then finds the container's own limit at the root.
MemoryLimit walk_groups(const std::string& root, std::string group, const char* limit_file, const char* usage_file,
                        const char* cache_label) {
  MemoryLimit found;
  for (;;) {
    const std::string folder = root + group + "/";
    // v2 writes "max" for no limit, v1 a number near 2^63.
    const auto limit = read_number(folder + limit_file);
    if (limit && *limit < std::uint64_t{1} << 62) {
      lower(found.limit, *limit);
      if (const auto usage = read_number(folder + usage_file)) {
        const std::uint64_t cache = field_number(folder + "memory.stat", cache_label).value_or(0);
        const std::uint64_t used = *usage - std::min(*usage, cache);
        lower(found.available, *limit - std::min(*limit, used));
      }
    }
    const auto slash = group.rfind('/');
    if (slash == std::string::npos) return found;
    group.resize(slash);
  }
}

MemoryLimit group_limit() {
  MemoryLimit found;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    MemoryLimit one;
    if (controllers == ",,")
      one = walk_groups("/sys/fs/cgroup", group, "memory.max", "memory.current", "inactive_file ");
    else if (controllers.find(",memory,") != std::string::npos)
      one = walk_groups("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes",
                        "total_inactive_file ");
    if (one.limit) lower(found.limit, *one.limit);
    if (one.available) lower(found.available, *one.available);
  }
  return found;
}

/// A figure of /proc/meminfo in bytes; 0 where unknown.
std::uint64_t meminfo(std::string_view label) { return field_number("/proc/meminfo", label).value_or(0) * 1024; }

}  // namespace

std::vector<int> thread_processors() {
  std::vector<int> allowed;
  // The kernel refuses a mask that is shorter than its own, so grow until it fits.
  for (int capacity = 1024; capacity <= 1 << 20; capacity *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(capacity));
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(capacity));
    const bool fits = ::sched_getaffinity(0, bytes, set) == 0;
    for (int i = 0; fits && i < capacity; ++i)
      if (CPU_ISSET_S(static_cast<std::size_t>(i), bytes, set)) allowed.push_back(i);
    CPU_FREE(set);
    if (fits) break;
  }
  if (allowed.empty()) {
    const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < std::max(1L, online); ++i) allowed.push_back(i);
  }
  return allowed;
}

std::vector<Core> cores_of(std::span<const int> processors, const std::string& folder) {
  const std::map<int, int> node_of = nodes_in(folder + "/node");
  struct Place {
    Core core;
    int cache;  ///< the first processor that shares it
  };
  std::vector<Place> places;
  std::set<int> left(processors.begin(), processors.end());
  std::map<int, int> first_of_cache;
  while (!left.empty()) {
    const int processor = *left.begin();
    const std::string cpu = str(folder, "/cpu/cpu", processor);
    if (!first_of_cache.count(processor))
      for (int other : cache_of(cpu)) first_of_cache.try_emplace(other, processor);
    const auto node = node_of.find(processor);
    Place place{{{processor}, node == node_of.end() ? 0 : node->second},
                first_of_cache.try_emplace(processor, processor).first->second};
    left.erase(processor);
    for (int sibling : list_in(cpu + "/topology/thread_siblings_list"))
      if (left.erase(sibling)) place.core.processors.push_back(sibling);
    places.push_back(std::move(place));
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return std::pair(a.core.node, a.cache) < std::pair(b.core.node, b.cache); });
  std::vector<Core> cores;
  for (Place& place : places) cores.push_back(std::move(place.core));
  return cores;
}

std::vector<Core> physical_cores() { return cores_of(thread_processors(), "/sys/devices/system"); }

bool keep_thread_to(std::span<const int> processors) {
  if (processors.empty()) return false;
  const auto [first, last] = std::minmax_element(processors.begin(), processors.end());
  if (*first < 0 || *last >= 1 << 20) return false;
  const std::size_t count = static_cast<std::size_t>(*last) + 1;
  cpu_set_t* set = CPU_ALLOC(count);
  if (set == nullptr) return false;
  const std::size_t bytes = CPU_ALLOC_SIZE(count);
  CPU_ZERO_S(bytes, set);
  for (int processor : processors) CPU_SET_S(static_cast<std::size_t>(processor), bytes, set);
  const bool kept = ::sched_setaffinity(0, bytes, set) == 0;
  CPU_FREE(set);
  return kept;
}

std::size_t last_cache() {
  std::uint64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    const auto text = read_small(str("/sys/devices/system/cpu/cpu0/cache/index", index, "/size"));  // "512K"
    if (!text) break;
    const std::uint64_t unit = text->ends_with('M') ? 1024 * 1024 : text->ends_with('K') ? 1024 : 1;
    largest = std::max(largest, std::min<std::uint64_t>(number_in(*text).value_or(0), 1 << 20) * unit);
  }
  return largest != 0 ? static_cast<std::size_t>(largest) : std::size_t{32} << 20;
}

std::uint64_t available_memory() {
  const std::uint64_t machine = meminfo("MemAvailable:");
  const auto group = group_limit().available;
  if (!group) return machine;
  return machine == 0 ? *group : std::min(machine, *group);
}

std::uint64_t total_memory() {
  const std::uint64_t machine = meminfo("MemTotal:");
  const auto group = group_limit().limit;
  if (!group) return machine;
  return machine == 0 ? *group : std::min(machine, *group);
}

std::uint64_t peak_memory() {
  if (const auto peak = field_number("/proc/self/status", "VmHWM:")) return *peak * 1024;
  struct rusage usage {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::string processor_name() {
  for (const char* label : {"model name", "Model Name", "Hardware", "cpu model"}) {
    const auto text = field("/proc/cpuinfo", label);
    const auto colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) continue;
    const auto first = text->find_first_not_of(" \t", colon + 1);
    if (first != std::string::npos) return text->substr(first);
  }
  return "unknown";
}

}  // namespace strata::platform
