// Owns: the options of `strata selftest`.
#include <memory>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"
#include "examples/cli/options.h"

namespace cli {

void add_selftest(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("selftest", "prove a device: every operation against the reference");
  auto a = std::make_shared<SelftestArguments>();
  command->add_option("--device", a->device, "a device of `strata devices`; auto: the best")->capture_default_str();
  command->add_option("--isa", a->isa, "a lower instruction set of the CPU, e.g. scalar");
  command->add_option("--threads", a->threads, "threads of the CPU; 0: one for each core")
      ->check(range(0, 4096))->capture_default_str();
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("Exit code 1 where a case fails.");
  command->callback([a, &code] { code = run_selftest(*a); });
}

}  // namespace cli
