// Owns: reading a large buffer with several threads. Knows Linux's huge pages; elsewhere it measures default pages alone.
#include "examples/cli/bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "examples/cli/terminal.h"

namespace cli {
namespace {

constexpr std::size_t mebibyte = std::size_t(1) << 20;
constexpr std::size_t huge_page = 2 * mebibyte;

/// Bytes of the largest cache of the first processor; 32 MiB where the system does not tell.
std::size_t last_cache() {
  std::size_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream in("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/size");
    std::size_t size = 0;
    char unit = 0;
    if (in >> size >> unit) largest = std::max(largest, size * (unit == 'M' ? mebibyte : 1024));
  }
  return largest ? largest : 32 * mebibyte;
}

/// Anonymous memory aligned to a huge page, written once so that its pages exist.
class Buffer {
 public:
  Buffer(std::size_t bytes, bool huge) : mapped_(bytes + huge_page) {
    void* at = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    base_ = static_cast<char*>(at);
    auto start = (reinterpret_cast<std::uintptr_t>(base_) + huge_page - 1) / huge_page * huge_page;
    data_ = reinterpret_cast<std::uint64_t*>(start);
    words_ = bytes / sizeof(std::uint64_t);
#if defined(MADV_HUGEPAGE)
    granted_ = madvise(data_, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0 || !huge;
#else
    granted_ = !huge;
#endif
    for (std::size_t i = 0; i < words_; ++i) data_[i] = i;
  }
  ~Buffer() {
    if (base_) munmap(base_, mapped_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  bool usable() const { return base_ && granted_; }
  const std::uint64_t* data() const { return data_; }
  std::size_t words() const { return words_; }

 private:
  char* base_ = nullptr;
  std::uint64_t* data_ = nullptr;
  std::size_t mapped_, words_ = 0;
  bool granted_ = false;
};

/// Sums in independent lanes, so that the loads and not the additions are the limit.
std::uint64_t sum(const std::uint64_t* data, std::size_t words) {
  std::uint64_t lanes[16] = {};
  for (std::size_t i = 0; i + 16 <= words; i += 16)
    for (std::size_t j = 0; j < 16; ++j) lanes[j] += data[i + j];
  std::uint64_t total = 0;
  for (std::uint64_t lane : lanes) total += lane;
  return total;
}

double best_rate(std::size_t bytes, bool huge, int threads) {
  Buffer buffer(bytes, huge);
  if (!buffer.usable()) return 0;
  constexpr int passes = 6;
  double best = 0;
  std::atomic<std::uint64_t> sink{0};  // keeps the sums from being optimised away
  const std::size_t share = buffer.words() / static_cast<std::size_t>(threads);
  for (int pass = 0; pass < passes; ++pass) {
    std::vector<std::thread> team;
    const double start = now_seconds();
    for (int t = 0; t < threads; ++t)
      team.emplace_back([&, t] { sink += sum(buffer.data() + static_cast<std::size_t>(t) * share, share); });
    for (std::thread& thread : team) thread.join();
    const double seconds = now_seconds() - start;
    const auto read = static_cast<double>(share * static_cast<std::size_t>(threads) * sizeof(std::uint64_t));
    best = std::max(best, read / seconds);
  }
  return best;
}

}  // namespace

Bandwidth measure_bandwidth(int threads) {
  threads = std::max(threads, 1);
  std::size_t bytes = std::clamp(8 * last_cache(), 256 * mebibyte, 1024 * mebibyte);
  return {best_rate(bytes, false, threads), best_rate(bytes, true, threads)};
}

}  // namespace cli
