// Owns: the options of `strata devices`.
#include <memory>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"

namespace cli {

void add_devices(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("devices", "list the devices of this machine");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print one JSON object");
  command->callback([json, &code] { code = run_devices(*json); });
}

}  // namespace cli
