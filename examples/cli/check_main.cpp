// Owns: the program `strata-check`: devices, selftest, bench and make-model for machines without packages. Its options are
// those of `strata`. Knows no library but strata.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "examples/cli/checks.h"
#include "examples/cli/terminal.h"
#include "strata/strata.h"

namespace {

using namespace cli;

constexpr const char* usage_text =
    "usage: strata-check COMMAND [OPTION...]\n"
    "  devices     [--json]\n"
    "  selftest    [--device D] [--isa I] [--threads N] [--json]\n"
    "  bench MODEL [-p N,...] [-n N,...] [-d DEPTH,...] [--fill PERCENT,...] [--ctx N] [-r REPEATS] [-b STEP,...]\n"
    "              [--sequences N,...] [--device D] [--isa I,...] [--threads N,...] [--kv-type f16,f32,q8_0,q4_0]\n"
    "              [--affinity auto,off,cores] [--pages auto,huge,mmap] [--stages] [--json] [--csv] [--md] [--report FILE]\n"
    "  make-model  --like SHAPE --out FILE [--type TYPE] [--layers N] [--seed S] [--force] [--json]\n"
    "  --version, --help\n";

/// One option: its name and where its value goes; exactly one of the targets is set.
struct Option {
  std::string_view name;
  std::string* text = nullptr;
  int* number = nullptr;
  std::uint64_t* seed = nullptr;
  bool* flag = nullptr;
};

template <class Number>
bool parse(std::string_view text, Number& out) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Fills in the options; what is none of them goes to `positional`. Returns exit_ok or reports.
int read_options(const std::vector<std::string>& words, const std::vector<Option>& options, std::string* positional) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    const Option* found = nullptr;
    for (const Option& option : options)
      if (option.name == word) found = &option;
    if (!found) {
      if (word.starts_with('-') || !positional || !positional->empty())
        return report(exit_usage, "'" + word + "' is not understood; see strata-check --help");
      *positional = word;
      continue;
    }
    if (found->flag) {
      *found->flag = true;
      continue;
    }
    if (++i == words.size()) return report(exit_usage, word + " needs a value");
    bool good = true;
    if (found->text) *found->text = words[i];
    else if (found->number) good = parse(words[i], *found->number) && *found->number >= 0;
    else good = parse(words[i], *found->seed);
    if (!good) return report(exit_usage, word + ": '" + words[i] + "' is not a number from 0 on");
  }
  return exit_ok;
}

int check_bench(const std::vector<std::string>& words) {
  BenchArguments a;
  BenchTexts t;
  std::string device;
  auto flag = [](std::string_view name, bool& out) { return Option{name, nullptr, nullptr, nullptr, &out}; };
  int code = read_options(words, {{"-p", &t.prompt}, {"-n", &t.decode}, {"-d", &t.depths}, {"--fill", &t.fills},
                                  {"--ctx", nullptr, &a.context}, {"-r", nullptr, &a.repeats}, {"-b", &t.batches},
                                  {"--sequences", &t.sequences}, {"--device", &device}, {"--isa", &t.isas},
                                  {"--threads", &t.threads}, {"--kv-type", &t.kv_types}, {"--pages", &t.pages}, {"--affinity", &t.affinities},
                                  {"--report", &a.report}, flag("--stages", a.stages),
                                  flag("--json", t.json), flag("--csv", t.csv), flag("--md", t.markdown)},
                          &a.model);
  if (code != exit_ok) return code;
  if (a.model.empty()) return report(exit_usage, "bench needs a MODEL");
  if (a.repeats < 1) return report(exit_usage, "-r must be 1 or more");
  if (a.context > 1 << 24) return report(exit_usage, "--ctx is at most 16777216");
  if (!device.empty()) t.devices = {device};
  if (auto read = read_lists(t, a); !read) return report(read.error());
  return run_bench(a);
}

int check_make_model(const std::vector<std::string>& words) {
  MakeModelArguments a;
  int code = read_options(words, {{"--like", &a.like}, {"--type", &a.type}, {"--out", &a.out},
                                  {"--layers", nullptr, &a.layers}, {"--seed", nullptr, nullptr, &a.seed},
                                  {"--force", nullptr, nullptr, nullptr, &a.force},
                                  {"--json", nullptr, nullptr, nullptr, &a.json}}, nullptr);
  if (code != exit_ok) return code;
  if (a.like.empty()) return report(exit_usage, "make-model needs --like: " + listed(strata::make_model_shapes()));
  return run_make_model(a);
}

int run_program(const std::vector<std::string>& words) {
  set_program_name("strata-check");
  if (words.empty()) return report(exit_usage, "a command is required; see strata-check --help");
  for (const std::string& word : words)
    if (word == "--help" || word == "-h" || word == "help") {
      std::fputs(usage_text, stdout);
      return exit_ok;
    }
  const std::string& command = words.front();
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (command == "--version") {
    std::printf("strata-check %s\n", strata::version());
    return exit_ok;
  }
  if (command == "devices") {
    bool json = false;
    int code = read_options(rest, {{"--json", nullptr, nullptr, nullptr, &json}}, nullptr);
    return code == exit_ok ? run_devices(json) : code;
  }
  if (command == "selftest") {
    SelftestArguments a;
    int code = read_options(rest, {{"--device", &a.device}, {"--isa", &a.isa}, {"--threads", nullptr, &a.threads},
                                   {"--json", nullptr, nullptr, nullptr, &a.json}}, nullptr);
    return code == exit_ok ? run_selftest(a) : code;
  }
  if (command == "bench") return check_bench(rest);
  if (command == "make-model") return check_make_model(rest);
  return report(exit_usage, "there is no command '" + command + "'; see strata-check --help");
}

}  // namespace

int main(int argc, char** argv) {
  set_command_words(argc, argv);
  try {
    return finish_output(run_program(std::vector<std::string>(argv + 1, argv + argc)));
  } catch (const std::bad_alloc&) {
    return report(exit_memory, "out of memory");
  } catch (const std::exception& error) {
    return report(exit_usage, error.what());
  }
}
