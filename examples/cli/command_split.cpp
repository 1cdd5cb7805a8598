// Owns: `strata split` and `strata merge`: a model in several files, and in one again.
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
using Json = nlohmann::ordered_json;

namespace {

struct SplitArguments {
  std::string in, out;
  SplitOptions options;
  bool force = false, json = false;
};

void print(const std::vector<WrittenFile>& files, bool json) {
  if (json) {
    Json list = Json::array();
    for (const WrittenFile& file : files)
      list.push_back({{"path", file.path}, {"tensors", file.tensors}, {"tensor_bytes", file.tensor_bytes}});
    std::printf("%s\n", Json{{"files", list}}.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  Table table({"file", ">tensors", ">size"});
  for (const WrittenFile& file : files) table.row({file.path, std::to_string(file.tensors), byte_text(file.tensor_bytes)});
  table.print();
}

Result<void> refuse_existing(const std::vector<WrittenFile>& files, bool force) {
  std::error_code error;
  for (const WrittenFile& file : files)
    if (!force && std::filesystem::exists(file.path, error))
      return Error{ErrorCode::invalid_argument, file.path + " exists; --force overwrites it"};
  return {};
}

/// `plan` says what would be written, `write(progress)` writes it.
template <class Plan, class Write>
Result<int> rewrite(const SplitArguments& a, const char* label, Plan plan, Write write) {
  Result<std::vector<WrittenFile>> files = plan();
  if (!files) return files.error();
  if (!a.options.dry_run) {
    if (auto fine = refuse_existing(*files, a.force); !fine) return fine.error();
    catch_interrupt();
    ProgressBar bar(label);
    files = write([&bar](double share) {
      bar.update(share);
      return !interrupted();
    });
    if (!files) return files.error();
  }
  print(*files, a.json);
  return exit_ok;
}

Result<int> run_split(const SplitArguments& a) {
  const auto run = [&](bool dry, const RewriteProgress& progress) {
    SplitOptions options = a.options;
    options.dry_run = dry;
    options.progress = progress;
    return split(a.in, a.out, options);
  };
  return rewrite(a, "splitting", [&] { return run(true, {}); }, [&](const RewriteProgress& progress) { return run(false, progress); });
}

Result<int> run_merge(const SplitArguments& a) {
  const auto run = [&](bool dry, const RewriteProgress& progress) -> Result<std::vector<WrittenFile>> {
    auto file = merge(a.in, a.out, dry, progress);
    if (!file) return file.error();
    return std::vector<WrittenFile>{*file};
  };
  return rewrite(a, "merging", [&] { return run(true, {}); }, [&](const RewriteProgress& progress) { return run(false, progress); });
}

void add_flags(CLI::App& command, SplitArguments& a) {
  command.add_flag("--dry-run", a.options.dry_run, "show what would be written");
  command.add_flag("--force", a.force, "overwrite files that exist");
  command.add_flag("--json", a.json, "print one JSON object");
}

}  // namespace

void add_split(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("split", "cut a model into several files");
  auto a = std::make_shared<SplitArguments>();
  command->add_option("IN", a->in, "a GGUF file")->required();
  command->add_option("PREFIX", a->out, "the files become PREFIX-00001-of-0000N.gguf and so on")->required();
  command->add_option("--max-size", a->options.max_bytes, "the most bytes of weights in a file, e.g. 2G or 500M")
      ->transform(CLI::AsSizeValue(true).description(""));
  command->add_option("--max-tensors", a->options.max_tensors, "the most tensors in a file");
  add_flags(*command, *a);
  command->callback([a, &code] {
    auto result = run_split(*a);
    code = result ? *result : report(result.error());
  });
}

void add_merge(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("merge", "put the files of a split together");
  auto a = std::make_shared<SplitArguments>();
  command->add_option("IN", a->in, "the first file, ...-00001-of-0000N.gguf")->required();
  command->add_option("OUT", a->out, "the file to write")->required();
  add_flags(*command, *a);
  command->callback([a, &code] {
    auto result = run_merge(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
