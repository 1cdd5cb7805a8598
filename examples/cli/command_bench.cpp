// Owns: the options of `strata bench`.
#include <memory>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

void add_bench(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("bench", "measure tokens per second, and the share of memory bandwidth used");
  auto a = std::make_shared<BenchArguments>();
  auto depths = std::make_shared<std::string>("0");
  add_model(*command, a->load.model);
  command->add_option("-p,--prompt", a->prompt, "tokens of a prefill; 0: none")->check(range(0, 1 << 24))->capture_default_str();
  command->add_option("-n,--tokens", a->decode, "tokens decoded one by one; 0: none")->check(range(0, 1 << 24))->capture_default_str();
  command->add_option("-d,--depth", *depths, "tokens already in the context, e.g. 0,4096")->capture_default_str();
  command->add_option("-r,--repeats", a->repeats, "measured repeats; one more warms up")->check(range(1, 1000))->capture_default_str();
  add_load_options(*command, a->load, false);
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("Random tokens; the context is cut back between repeats; median, least and most of the repeats are shown.\n"
                  "GB/s counts the weights and cached keys and values read for each decoded token; the memory's own rate is\n"
                  "read right after, with as many threads and from the same kind of pages.");
  command->callback([a, depths, &code] {
    a->depths = parse_depths(*depths);
    if (a->depths.empty()) code = report(exit_usage, "--depth is '" + *depths + "'; give numbers such as 0,4096");
    else code = run_bench(*a);
  });
}

}  // namespace cli
