// Owns: the library's one way to report failure. Knows nothing else of strata.
#pragma once

#include <cassert>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace strata {

/// What kind of thing went wrong; `Error::message` says which file, key, tensor, flag or limit.
enum class ErrorCode {
  invalid_argument,  ///< the caller passed something that cannot be meant
  not_found,         ///< a file, device, tensor or key that does not exist
  io,                ///< the operating system refused a read, write or map
  bad_file,          ///< a file contradicts its format or itself
  unsupported,       ///< well-formed, but nothing here can run it
  out_of_memory,     ///< the machine or the device has too little memory
  context_full,      ///< the sequence has reached the session's context length
  cancelled,         ///< a callback of the caller asked to stop
  device,            ///< a device failed while it ran
};

/// The snake_case name of a code, as the program prints it in JSON.
constexpr const char* name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::io: return "io";
    case ErrorCode::bad_file: return "bad_file";
    case ErrorCode::unsupported: return "unsupported";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::context_full: return "context_full";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::device: return "device";
  }
  return "unknown";
}

struct Error {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string message;  ///< one line, no trailing newline; names what is wrong and what to do next
};

/// Thrown by `Result::value_or_throw` alone; the library itself never throws across its boundary.
class Exception : public std::runtime_error {
 public:
  explicit Exception(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};

/// A value or an `Error`. Check with `if (!result)`, or call `value_or_throw()` to get exceptions instead.
template <class T = void>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  /// Precondition: `ok()`.
  T& value() & { assert(ok()); return *std::get_if<0>(&state_); }
  const T& value() const& { assert(ok()); return *std::get_if<0>(&state_); }
  T&& value() && { assert(ok()); return std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// Precondition: `!ok()`.
  const Error& error() const& { assert(!ok()); return *std::get_if<1>(&state_); }
  Error&& error() && { assert(!ok()); return std::move(*std::get_if<1>(&state_)); }

  T value_or_throw() && {
    if (!ok()) throw Exception(std::move(*this).error());
    return std::move(*this).value();
  }

 private:
  std::variant<T, Error> state_;
};

/// Success, or an `Error`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { assert(failed_); return error_; }
  Error&& error() && { assert(failed_); return std::move(error_); }
  void value_or_throw() && {
    if (failed_) throw Exception(std::move(error_));
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace strata
