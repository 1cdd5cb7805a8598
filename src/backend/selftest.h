// Owns: the proof that a device computes what the reference computes: every operation and every weight format, on small
// random graphs. It is part of the library, so that anybody can run it on hardware that its authors do not have.
// Knows devices through backend.h alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace strata::backend {

struct SelftestCase {
  std::string op;      ///< operation, or "block" for a graph of all of them
  std::string format;  ///< weight type ("Q4_K"), cache type ("f16") or empty
  std::string shape;
  bool passed = false;
  bool skipped = false;     ///< the device says that it does not support it; `message` says why
  double bound = 0;         ///< tolerance of the nmse
  double nmse = 0;          ///< sum of squared differences over the sum of squares of the reference
  double max_error = 0;     ///< largest difference over the root mean square of the reference
  std::string message;      ///< empty when passed
  double microseconds = 0;  ///< of the device, for all steps of the case
};

/// Runs all cases on `device` and compares with `reference`. An error only when the reference fails, or when `progress`
/// (called after each case) returns false: `cancelled`. What the device does wrong is in the cases.
Result<std::vector<SelftestCase>> selftest(Device& device, Device& reference,
                                           const std::function<bool(const SelftestCase&)>& progress);

}  // namespace strata::backend
