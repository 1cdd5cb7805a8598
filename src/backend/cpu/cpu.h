// Owns: the door to the cpu device. Knows nothing of how it computes.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace strata::backend {

DeviceInfo describe_cpu();
/// Starts no thread: they start with the first step, and live as long as the device.
Result<std::unique_ptr<Device>> open_cpu(const DeviceOptions& options);

}  // namespace strata::backend
