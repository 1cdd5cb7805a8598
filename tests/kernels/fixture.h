// Owns: what the kernel tests share: the tables of this machine, random data, buffers that end at an unmapped page.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/formats/list.h"
#include "support/catch.h"

namespace strata::test {

using namespace strata::kernels;

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

#if defined(__x86_64__)
extern const IsaKernels avx_vnni_evex;  // avx_vnni_evex.cpp
#endif

inline std::vector<const IsaKernels*> machine_tables() {
  std::vector<const IsaKernels*> out;
  for (const IsaKernels* isa : isa_tables())
    if (isa->supported()) out.push_back(isa);
#if defined(__x86_64__)
  if (avx_vnni_evex.supported()) out.push_back(&avx_vnni_evex);
#endif
  return out;
}

inline std::vector<float> random_floats(std::size_t n, unsigned seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

/// n elements that end at an unmapped page: reading or writing past them is a fault.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t n) : count_(n) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (n * sizeof(T) + page - 1) / page * page + page;
    base_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + mapped_ - page, page, PROT_NONE) != 0) throw std::bad_alloc();
    data_ = reinterpret_cast<T*>(base_ + mapped_ - page - n * sizeof(T));
  }
  explicit Guarded(std::span<const T> from) : Guarded(from.size()) {
    if (!from.empty()) std::memcpy(data_, from.data(), from.size_bytes());
  }
  explicit Guarded(const std::vector<T>& from) : Guarded(std::span<const T>(from)) {}
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }

 private:
  std::size_t count_, mapped_;
  char* base_;
  T* data_;
};

/// The same bits, or both NaN.
inline bool same(float a, float b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

}  // namespace strata::test
