// Owns: a test-only device that shares nothing with its host: its own address space behind opaque handles, copies in and
// out, a queue that runs later on another thread, and bindings of limited size. What passes on it assumes neither host
// pointers, nor that work is done when a call returns, nor that a tensor is one piece of memory. Computes with ref.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"

namespace strata::test {

struct RemoteOptions {
  std::string id = "remote";
  /// Bytes of one allocation for weights, pages and slots; what is larger is split by whole rows.
  std::size_t binding_limit = 64 * 1024;
};

struct RemoteStats {
  std::size_t allocations = 0;  ///< alive
  std::uint64_t bytes = 0;      ///< in them
  std::uint64_t steps = 0;      ///< run so far
};

/// When a queued command fails, those behind it are skipped until the next `read` of the device, which reports it.
class RemoteDevice : public backend::Device {
 public:
  static std::unique_ptr<RemoteDevice> make(const RemoteOptions& options = {});
  /// After everything queued has run.
  virtual RemoteStats stats() = 0;
  /// The next step of this program of the device fails with this message.
  virtual void break_next_step(backend::Program& program, const std::string& message) = 0;
};

}  // namespace strata::test
