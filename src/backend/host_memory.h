// Owns: memory of the host for devices that keep their state there in plain vectors. Knows nothing of what it holds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "strata/result.h"

namespace strata::backend {

constexpr std::byte kPoison{0xff};  ///< a NaN in float32 and float16 alike: reading what was never written shows

/// Grows `memory` to `count` elements of `fill`; standard containers throw where this reports.
template <class T>
Result<void> grow(std::vector<T>& memory, std::size_t count, const T& fill, std::string_view what) {
  try {
    if (memory.size() < count) memory.resize(count, fill);
    return {};
  } catch (const std::exception&) {}  // bad_alloc or length_error
  return fail(ErrorCode::out_of_memory, what, ": no memory for ", count, " x ", sizeof(T), " bytes or more");
}

/// Equal pieces of memory, numbered from 0, poisoned until they are written.
struct HostPieces {
  const char* what;       ///< for messages: "ref: page"
  std::size_t bytes = 0;  ///< of a piece
  std::vector<std::vector<std::byte>> at;

  int count() const { return static_cast<int>(at.size()); }
  Result<void> check(int i) const {
    if (i >= 0 && i < count()) return {};
    return fail(ErrorCode::invalid_argument, what, " ", i, " of ", count(), " reserved");
  }
  Result<void> reserve(int n) {
    for (int i = count(); i < n; i++) {
      std::vector<std::byte> piece;
      if (auto ok = grow(piece, bytes, kPoison, what); !ok) return ok;
      if (auto ok = grow(at, at.size() + 1, piece, what); !ok) return ok;
    }
    return {};
  }
  Result<void> copy(int from, int to) {
    if (auto ok = check(from); !ok) return ok;
    if (auto ok = check(to); !ok) return ok;
    if (from != to) at[static_cast<std::size_t>(to)] = at[static_cast<std::size_t>(from)];
    return {};
  }
  Result<void> clear(int i) {
    if (auto ok = check(i); !ok) return ok;
    std::ranges::fill(at[static_cast<std::size_t>(i)], std::byte{0});
    return {};
  }
  Result<void> read(int i, std::span<std::byte> out) const {
    if (auto ok = check_size(i, out.size()); !ok) return ok;
    std::ranges::copy(at[static_cast<std::size_t>(i)], out.begin());
    return {};
  }
  Result<void> write(int i, std::span<const std::byte> in) {
    if (auto ok = check_size(i, in.size()); !ok) return ok;
    std::ranges::copy(in, at[static_cast<std::size_t>(i)].begin());
    return {};
  }

 private:
  Result<void> check_size(int i, std::size_t given) const {
    if (auto ok = check(i); !ok || given == bytes) return ok;
    return fail(ErrorCode::invalid_argument, what, " ", i, " has ", bytes, " bytes, not ", given);
  }
};

}  // namespace strata::backend
