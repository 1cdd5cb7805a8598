// Owns: `strata devices`: what this machine can run on.
#include <cstdio>

#include "examples/cli/checks.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/terminal.h"

namespace cli {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

int run_devices(bool json) {
  const auto devices = strata::devices();
  const auto sets = strata::cpu_instruction_sets();
  if (json) {
    JsonWriter out;
    out.begin_object().member("version", strata::version()).key("devices").begin_array();
    for (const strata::DeviceInfo& device : devices) {
      out.begin_object().member("id", device.id).member("description", device.description);
      out.member("memory_total", device.memory_total).member("memory_free", device.memory_free).end_object();
    }
    out.end_array().key("cpu_instruction_sets").begin_array();
    for (const std::string& set : sets) out.value(set);
    out.end_array().member("physical_cores", strata::physical_cores()).end_object();
    std::printf("%s\n", out.text().c_str());
    return exit_ok;
  }
  Table table({"device", ">memory", ">free", "description"});
  for (const strata::DeviceInfo& device : devices)
    table.row({device.id, device.memory_total ? byte_text(device.memory_total) : "-",
               device.memory_free ? byte_text(device.memory_free) : "-", device.description});
  table.print();
  std::printf("\nCPU instruction sets, best first: %s; %d cores\n", listed(sets).c_str(), strata::physical_cores());
  return exit_ok;
}

}  // namespace cli
