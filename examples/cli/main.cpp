// Owns: the program `strata`: its commands, --version, help and usage errors. Knows CLI11 and no command's work.
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "examples/cli/commands.h"
#include "examples/cli/terminal.h"
#include "strata/strata.h"

namespace {

int no_command(const std::string& name) {
  return cli::report(cli::exit_usage, "there is no command '" + name + "'; see strata --help");
}

/// `strata help [COMMAND]`.
void add_help(CLI::App& program, std::string& topic, int& code) {
  CLI::App* command = program.add_subcommand("help", "help on a command");
  command->add_option("COMMAND", topic, "its name");
  command->callback([&program, &topic, &code] {
    if (topic.empty()) {
      // program.help() would show the help of the chosen command, which is this one.
      std::fputs(program.get_formatter()->make_help(&program, "strata", CLI::AppFormatMode::Normal).c_str(), stdout);
      return;
    }
    auto found = program.get_subcommands([&topic](CLI::App* app) { return app->get_name() == topic; });
    if (!found.empty()) std::fputs(found.front()->help("strata").c_str(), stdout);
    else code = no_command(topic);
  });
}

/// `first`: the first argument, or empty.
int usage_error(const CLI::App& program, const CLI::ParseError& error, const std::string& first) {
  auto chosen = program.get_subcommands();
  if (chosen.empty() && !first.empty())
    return first.front() == '-' ? cli::report(cli::exit_usage, "there is no option '" + first + "'; see strata --help")
                                : no_command(first);
  std::string where = chosen.empty() ? "strata" : "strata " + chosen.front()->get_name();
  std::string message = error.what();
  while (message.ends_with('.') || message.ends_with('\n')) message.pop_back();
  return cli::report(cli::exit_usage, message + "; see " + where + " --help");
}

int run_program(int argc, char** argv) {
  CLI::App program("Runs language models in GGUF files.", "strata");
  program.set_version_flag("--version", std::string("strata ") + strata::version());
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  program.footer("`strata COMMAND --help` tells more. Exit codes: 0 done, 1 a test failed, 2 bad usage or input,\n"
                 "3 a file, model or device cannot be used, 4 out of memory or context, 130 Ctrl-C.");
  int code = cli::exit_ok;
  std::string topic;
  cli::add_run(program, code);
  cli::add_chat(program, code);
  cli::add_inspect(program, code);
  cli::add_tokenize(program, code);
  cli::add_detokenize(program, code);
  cli::add_template(program, code);
  cli::add_logits(program, code);
  cli::add_embed(program, code);
  cli::add_perplexity(program, code);
  cli::add_bench(program, code);
  cli::add_bench_compare(program, code);
  cli::add_devices(program, code);
  cli::add_selftest(program, code);
  cli::add_imatrix(program, code);
  cli::add_quantize(program, code);
  cli::add_split(program, code);
  cli::add_merge(program, code);
  cli::add_make_model(program, code);
  add_help(program, topic, code);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli::finish_output(program.exit(error));  // --help, --version
    return usage_error(program, error, argc > 1 ? argv[1] : "");
  }
  return cli::finish_output(code);
}

}  // namespace

int main(int argc, char** argv) {
  cli::set_command_words(argc, argv);
  try {
    return run_program(argc, argv);
  } catch (const std::bad_alloc&) {
    return cli::report(cli::exit_memory, "out of memory");
  } catch (const std::exception& error) {
    return cli::report(cli::exit_usage, error.what());
  }
}
