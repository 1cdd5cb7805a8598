// Owns: the public view of devices and of the library itself.
#include "backend/backend.h"
#include "backend/selftest.h"
#include "base/platform.h"
#include "kernels/cpu/kernels.h"
#include "strata/strata.h"

namespace strata {

const char* version() { return STRATA_VERSION; }

std::uint64_t peak_memory() { return platform::peak_memory(); }

int physical_cores() { return static_cast<int>(platform::physical_cores().size()); }

std::vector<std::string> cpu_instruction_sets() {
  std::vector<std::string> out;
  for (const kernels::IsaKernels* isa : kernels::isa_tables())
    if (isa->supported()) out.emplace_back(isa->name);
  return out;
}

std::vector<DeviceInfo> devices() {
  std::vector<DeviceInfo> out;
  for (backend::DeviceInfo& info : backend::list_devices())
    out.push_back({std::move(info.id), std::move(info.description), info.memory_total, info.memory_free});
  return out;
}

Result<Roofline> measure_roofline(const std::string& device, int threads, const std::string& isa) {
  auto opened = backend::open_device(device, {threads, isa, {}});
  if (!opened) return opened.error();
  auto measured = (*opened)->roofline();
  if (!measured) return measured.error();
  return Roofline{measured->read_small_pages, measured->read_huge_pages, measured->int8_operations, measured->f32_operations};
}

Result<std::vector<SelftestCase>> selftest(const std::string& device, int threads, const std::string& isa,
                                           const std::function<bool(const SelftestCase&)>& on_case) {
  auto tested = backend::open_device(device, {threads, isa, {}});
  if (!tested) return tested.error();
  auto reference = backend::open_device("ref", {});
  if (!reference) return reference.error();
  auto convert = [](const backend::SelftestCase& c) {
    return SelftestCase{c.op, c.format, c.shape, c.passed, c.skipped, c.nmse, c.bound, c.max_error, c.microseconds, c.message};
  };
  auto cases = backend::selftest(**tested, **reference, [&](const backend::SelftestCase& c) { return !on_case || on_case(convert(c)); });
  if (!cases) return cases.error();
  std::vector<SelftestCase> out;
  for (const backend::SelftestCase& c : *cases) out.push_back(convert(c));
  return out;
}

}  // namespace strata
