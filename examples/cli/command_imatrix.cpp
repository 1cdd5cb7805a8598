// Owns: `strata imatrix`: what a model's matrices are multiplied with, for `strata quantize --imatrix`.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"
#include "strata/quantize.h"

namespace cli {

using namespace strata;

namespace {

struct ImatrixArguments {
  LoadArguments load;
  std::string file, out;
  ImatrixOptions options;
  bool force = false, json = false;
};

Result<int> run_imatrix(ImatrixArguments a) {
  std::error_code error;
  if (std::filesystem::exists(a.out, error) && !a.force)
    return Error{ErrorCode::invalid_argument, a.out + " exists; --force overwrites it"};
  auto text = read_input(a.file);
  if (!text) return text.error();
  a.options.load = model_options(a.load);
  a.options.dataset = a.file;
  catch_interrupt();
  Result<ImatrixReport> report = ImatrixReport{};
  {
    ProgressBar bar("reading");
    a.options.load.progress = [](float) { return !interrupted(); };
    a.options.progress = [&](double share) {
      bar.update(share);
      return !interrupted();
    };
    report = make_imatrix(a.load.model, *text, a.out, a.options);
  }
  if (!report) return report.error();
  for (const std::string& name : report->partial) warn(name + ": some experts were never chosen; a longer text would reach them");
  if (a.json) {
    nlohmann::ordered_json json{{"out", a.out},         {"tokens", report->tokens},     {"chunks", report->chunks},
                                {"chunk", a.options.chunk}, {"matrices", report->matrices}, {"partial", report->partial}};
    std::printf("%s\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s: %d matrices over %d chunks of %d tokens\n", a.out.c_str(), report->matrices, report->chunks, a.options.chunk);
  }
  return exit_ok;
}

}  // namespace

void add_imatrix(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("imatrix", "measure which weights matter, for `strata quantize --imatrix`");
  auto a = std::make_shared<ImatrixArguments>();
  add_model(*command, a->load.model);
  command->add_option("-f,--file", a->file, "a text like those that the model will see, or - for standard input")->required();
  command->add_option("-o,--out", a->out, "the file to write")->required();
  command->add_option("--chunk", a->options.chunk, "tokens of a chunk; each is read afresh")->check(range(2, 1 << 24))->capture_default_str();
  command->add_option("--chunks", a->options.max_chunks, "the most chunks to read; 0: all")->check(range(0, 1 << 24))->capture_default_str();
  command->add_flag("--parse-special", a->options.special, "read control tokens that the text spells, such as <|im_start|>, as such");
  command->add_flag("--process-output", a->options.output, "also the output matrix");
  add_load_options(*command, a->load, false);
  command->add_flag("--force", a->force, "overwrite the file where it exists");
  command->add_flag("--json", a->json, "print one JSON object");
  command->callback([a, &code] {
    auto result = run_imatrix(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
