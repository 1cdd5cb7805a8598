// Owns: the explicit table of devices that this build can open. Knows each backend's factory and nothing behind it.
#include <string>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/ref/ref.h"
#include "base/text.h"

namespace strata::backend {

namespace {

struct Entry {
  const char* id;
  DeviceInfo (*describe)();
  Result<std::unique_ptr<Device>> (*open)(const DeviceOptions& options);
};

constexpr Entry kDevices[] = {
    {"cpu", describe_cpu, open_cpu},
    {"ref", describe_ref, [](const DeviceOptions&) { return open_ref(); }},
};

}  // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> out;
  for (const Entry& entry : kDevices) out.push_back(entry.describe());
  return out;
}

Result<std::unique_ptr<Device>> open_device(const std::string& id, const DeviceOptions& options) {
  std::string known;
  for (const Entry& entry : kDevices) {
    if (id == entry.id) return entry.open(options);
    known += str(known.empty() ? "" : ", ", entry.id);
  }
  return fail(ErrorCode::not_found, "device \"", id, "\" is not on this machine; there are ", known);
}

}  // namespace strata::backend
