// Owns: the door to the reference device, the executable specification of every operation: plain loops on one thread,
// sums in double, weights decoded row by row, activations never quantised. Slow by intent; other devices are tested
// against it.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace strata::backend {

DeviceInfo describe_ref();
Result<std::unique_ptr<Device>> open_ref();

}  // namespace strata::backend
