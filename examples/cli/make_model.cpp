// Owns: `strata make-model`: a file of random weights in the shape of a real model.
#include <cstdio>
#include <filesystem>

#include "examples/cli/checks.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/terminal.h"

namespace cli {

int run_make_model(const MakeModelArguments& a) {
  std::error_code error;
  if (std::filesystem::exists(a.out, error) && !a.force)
    return report(exit_usage, a.out + " exists; --force overwrites it");
  strata::MakeModelOptions options;
  options.like = a.like;
  options.type = a.type;
  options.out = a.out;
  options.seed = a.seed;
  catch_interrupt();
  {
    ProgressBar bar("writing");
    options.progress = [&](std::uint64_t done, std::uint64_t total) {
      bar.update(total ? static_cast<double>(done) / static_cast<double>(total) : 0);
      return !interrupted();
    };
    if (auto made = strata::make_model(options); !made) return report(made.error());
  }
  const std::uint64_t bytes = std::filesystem::file_size(a.out, error);
  if (a.json) {
    JsonWriter json;
    json.begin_object().member("out", a.out).member("like", a.like).member("type", a.type);
    json.member("seed", a.seed).member("bytes", error ? 0 : bytes).end_object();
    std::printf("%s\n", json.text().c_str());
  } else {
    std::printf("%s: %s in the shape of %s, random weights of type %s\n", a.out.c_str(),
                byte_text(error ? 0 : bytes).c_str(), a.like.c_str(), a.type.c_str());
  }
  return exit_ok;
}

}  // namespace cli
