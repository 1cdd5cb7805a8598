// Owns: turning LoadArguments into a loaded model. Knows the public API and the terminal.
#include "examples/cli/load.h"

#include <algorithm>

#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

ModelOptions model_options(const LoadArguments& arguments) {
  ModelOptions options;
  options.device = arguments.device;
  options.isa = arguments.isa;
  options.threads = arguments.threads;
  options.max_step = arguments.max_step;
  options.kv_type = arguments.kv_type == "f32"    ? KvType::f32
                    : arguments.kv_type == "q8_0" ? KvType::q8_0
                    : arguments.kv_type == "q4_0" ? KvType::q4_0
                                                  : KvType::f16;
  options.affinity = arguments.affinity == "off"     ? Affinity::off
                     : arguments.affinity == "cores" ? Affinity::cores
                                                     : Affinity::automatic;
  options.pages = arguments.pages == "huge" ? Pages::huge : arguments.pages == "mmap" ? Pages::mmap : Pages::automatic;
  return options;
}

Result<Model> load(const LoadArguments& arguments) {
  ModelOptions options = model_options(arguments);
  catch_interrupt();
  ProgressBar bar("loading");
  options.progress = [&](float share) {
    bar.update(share);
    return !interrupted();
  };
  return Model::load(arguments.model, options);
}

Result<std::optional<int>> sync_in_steps(Session& session, std::span<const Token> prompt) {
  constexpr std::size_t step = 512;
  ProgressBar bar("reading");
  auto held = session.tokens();
  auto common = static_cast<std::size_t>(
      std::mismatch(prompt.begin(), prompt.end(), held.begin(), held.end()).first - prompt.begin());
  int evaluated = 0;
  for (std::size_t done = common + step; done < prompt.size(); done += step) {
    if (interrupted()) return std::optional<int>();
    auto synced = session.sync(prompt.first(done));
    if (!synced) return synced.error();
    evaluated += *synced;
    bar.update(static_cast<double>(done) / static_cast<double>(prompt.size()));
  }
  return interrupted() ? std::nullopt : std::optional(evaluated);
}

}  // namespace cli
