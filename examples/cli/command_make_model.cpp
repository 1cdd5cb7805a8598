// Owns: the options of `strata make-model`.
#include <memory>

#include "examples/cli/checks.h"
#include "examples/cli/commands.h"
#include "strata/strata.h"

namespace cli {

void add_make_model(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("make-model", "write a model of random weights, to measure without a download");
  auto a = std::make_shared<MakeModelArguments>();
  command->add_option("--like", a->like, "the shape: " + listed(strata::make_model_shapes()))
      ->required()->check(CLI::IsMember(strata::make_model_shapes()));
  command->add_option("--type", a->type, "the weights' format: " + listed(strata::make_model_types()))
      ->check(CLI::IsMember(strata::make_model_types()))->capture_default_str();
  command->add_option("--out", a->out, "the file to write");
  command->add_option("--layers", a->layers, "only the first N layers; 0: all")->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_flag("--mtp", a->mtp, "with the block for multi-token prediction, of models that have one");
  command->add_flag("--dry-run", a->dry_run, "print the size and the tensors, write nothing");
  command->add_option("--seed", a->seed, "the same seed gives the same file")->capture_default_str();
  command->add_flag("--force", a->force, "overwrite the file where it exists");
  command->add_flag("--json", a->json, "print one JSON object");
  command->callback([a, &code] { code = run_make_model(*a); });
}

}  // namespace cli
