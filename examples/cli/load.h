// Owns: what every command that runs a model asks for, and loading it with a progress bar. Knows no option parser.
#pragma once

#include <optional>
#include <string>

#include "strata/strata.h"

namespace cli {

struct LoadArguments {
  std::string model;
  std::string device = "auto";
  std::string isa;
  std::string kv_type = "f16";
  std::string pages = "auto";
  std::string affinity = "auto";
  int threads = 0;
  int context = 0;
  int max_step = 512;  ///< most tokens in one step of a prompt
};

/// What Model::load is to be called with.
strata::ModelOptions model_options(const LoadArguments& arguments);
strata::Result<strata::Model> load(const LoadArguments& arguments);

/// Evaluates all but the last step of a prompt, so that Ctrl-C is heard and a bar is shown between steps. Returns how many
/// tokens were evaluated, nothing where Ctrl-C came; whatever syncs the whole prompt next finds the session nearly there.
strata::Result<std::optional<int>> sync_in_steps(strata::Session& session, std::span<const strata::Token> prompt);

}  // namespace cli
