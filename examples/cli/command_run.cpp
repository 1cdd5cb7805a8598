// Owns: `strata run`: prompt in, streamed text out, figures at the end.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct RunArguments {
  LoadArguments load;
  SamplingArguments sampling;
  SessionArguments session;
  std::vector<std::string> inputs;  ///< MODEL and "-", in any order
  std::string text, file, ids;
  std::vector<std::string> stop;
  int count = 256;
  bool has_text = false, has_ids = false;
  bool goes_on = false;  ///< where the saved session ended
  bool echo = false, no_echo = false, print_tokens = false, ignore_eos = false, special = false, json = false;
};

struct Prompt {
  std::string text;
  std::vector<Token> tokens;
};

/// Settles the model's path and where the prompt comes from.
Result<void> settle(RunArguments& a) {
  auto usage = [](std::string message) { return Error{ErrorCode::invalid_argument, std::move(message)}; };
  for (const std::string& input : a.inputs) {
    if (input == "-" && a.file.empty()) a.file = "-";
    else if (input != "-" && a.load.model.empty()) a.load.model = input;
    else return usage("'" + input + "' is one argument too many; see strata run --help");
  }
  if (a.has_text + !a.file.empty() + a.has_ids > 1)
    return usage("give one prompt: -p TEXT, -f FILE, - or --prompt-tokens IDS");
  const bool prompted = a.has_text || !a.file.empty() || a.has_ids;
  a.goes_on = !prompted && !a.session.file.empty() && std::filesystem::exists(a.session.file);
  if (!a.load.model.empty()) {
    if (!prompted && !a.goes_on) return usage("no prompt; give -p TEXT, -f FILE, - (standard input) or --prompt-tokens IDS");
    return {};
  }
  auto bundled = bundled_model();
  if (!bundled) return bundled.error();
  a.load.model = *bundled;
  if (!prompted && !a.goes_on) a.text = "Once upon a time";
  return {};
}

Result<Prompt> read_prompt(const RunArguments& a, const Model& model, const Session& session) {
  Prompt prompt;
  if (a.goes_on) {
    prompt.tokens.assign(session.tokens().begin(), session.tokens().end());
    if (model.tokenizer()) prompt.text = model.tokenizer()->decode(prompt.tokens, a.special);
  } else if (a.has_ids) {
    auto ids = parse_ids(a.ids);
    if (!ids) return ids.error();
    prompt.tokens = std::move(*ids);
    if (model.tokenizer()) prompt.text = model.tokenizer()->decode(prompt.tokens, a.special);
  } else {
    auto tokenizer = tokenizer_of(model);
    if (!tokenizer) return tokenizer.error();
    prompt.text = a.text;
    if (!a.file.empty()) {
      auto read = read_input(a.file);
      if (!read) return read.error();
      prompt.text = std::move(*read);
    }
    auto encoded = (*tokenizer)->encode(prompt.text);
    if (!encoded) return encoded.error();
    prompt.tokens = std::move(*encoded);
  }
  if (prompt.tokens.empty()) return Error{ErrorCode::invalid_argument, "the prompt is empty"};
  return prompt;
}

const char* reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::length: return "length";
    case StopReason::end_of_generation: return "end_of_generation";
    case StopReason::stop_string: return "stop_string";
    case StopReason::callback: return "interrupted";
    case StopReason::context_full: return "context_full";
  }
  return "unknown";
}

void print_json(const Model& model, const Prompt& prompt, const Generated& out) {
  nlohmann::ordered_json json;
  json["model"] = model.summary().name;
  json["device"] = model.device();
  json["prompt"] = prompt.text;
  json["prompt_tokens"] = prompt.tokens;
  json["tokens"] = out.tokens;
  json["text"] = out.text;
  json["stop"] = reason_name(out.reason);
  json["prompt_seconds"] = out.prompt_seconds;
  json["first_token_seconds"] = out.first_token_seconds;
  json["decode_seconds"] = out.decode_seconds;
  json["peak_memory"] = peak_memory();
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_figures(const Generated& out) {
  double steps = static_cast<double>(out.tokens.size()) - (out.reason == StopReason::end_of_generation ? 0 : 1);
  std::fprintf(stderr, "%sprompt %d tokens, %s; answer %zu tokens, %s; first token after %s ms; peak memory %s\n",
               stdout_is_terminal() ? "\n" : "", out.prompt_tokens,
               rate_text(out.prompt_evaluated, out.prompt_seconds).c_str(), out.tokens.size(),
               rate_text(steps, out.decode_seconds).c_str(), fixed(out.first_token_seconds * 1000, 0).c_str(),
               byte_text(peak_memory()).c_str());
}

Result<Generated> answer(const RunArguments& a, Session& session, const Prompt& prompt) {
  const double start = now_seconds();
  auto ready = sync_in_steps(session, prompt.tokens);
  if (!ready) return ready.error();
  if (!*ready) return Error{ErrorCode::cancelled, "interrupted while the prompt was read"};
  const double spent = now_seconds() - start;

  GenerateOptions options;
  options.max_tokens = a.count;
  options.ignore_eos = a.ignore_eos;
  options.special = a.special;
  options.stop = a.stop;
  options.shift_keep = shift_keep(a.session);
  Sampler sampler(a.sampling.options);
  bool first = true;
  auto out = session.generate(prompt.tokens, sampler, options, [&](Token token, std::string_view text) {
    if (a.json) return !interrupted();
    if (!a.print_tokens) std::fwrite(text.data(), 1, text.size(), stdout);
    else if (token != no_token) std::printf("%s%d", std::exchange(first, false) ? "" : ",", token);
    std::fflush(stdout);
    return !interrupted();
  });
  if (!out) return out;
  out->prompt_evaluated += **ready;
  out->prompt_seconds += spent;
  out->first_token_seconds += spent;
  return out;
}

Result<int> run(RunArguments a) {
  if (auto good = Sampler::check(a.sampling.options); !good) return good.error();
  if (auto settled = settle(a); !settled) return settled.error();
  auto model = load(a.load);
  if (!model) return model.error();
  a.session.context = a.load.context;
  auto session = open_session(*model, a.session);
  if (!session) return session.error();
  auto prompt = read_prompt(a, *model, *session);
  if (!prompt) return prompt.error();
  if (!model->tokenizer()) a.print_tokens = true;

  const bool echo = a.echo || (stdout_is_terminal() && !a.no_echo);
  if (echo && !a.json && !a.print_tokens) {
    const bool dim = stdout_is_terminal();
    std::printf("%s%s%s", dim ? "\033[2m" : "", prompt->text.c_str(), dim ? "\033[0m" : "");
    std::fflush(stdout);
  }
  auto out = answer(a, *session, *prompt);
  if (!out) return out.error();
  if (a.json) {
    print_json(*model, *prompt, *out);
  } else {
    std::printf("\n");
    std::fflush(stdout);
    print_figures(*out);
  }
  if (auto saved = save_session(*session, timeline_after(*session, *out), a.session); !saved) return saved.error();
  if (interrupted()) return exit_interrupted;
  if (out->reason == StopReason::context_full && a.count >= 0)
    return report(exit_memory, "the context of " + std::to_string(session->context()) + " tokens is full; raise --ctx");
  return exit_ok;
}

}  // namespace

void add_run(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("run", "continue a text");
  auto a = std::make_shared<RunArguments>();
  command->add_option("-m,--model", a->load.model, "a GGUF file; the bundled story teller where none is given");
  command->add_option("INPUT", a->inputs, "the model as an argument, and - to read the prompt from standard input")
      ->type_name("MODEL or -");
  CLI::Option* text = command->add_option("-p,--prompt", a->text, "the text to continue; \"Once upon a time\" for the bundled model");
  command->add_option("-f,--file", a->file, "read the prompt from a file");
  CLI::Option* ids = command->add_option("--prompt-tokens", a->ids, "the prompt as token ids, e.g. 1,403,407");
  command->add_option("-n,--tokens", a->count, "most tokens to write; -1: until the end")
      ->check(range(-1, 1 << 30))->capture_default_str();
  command->add_option("--stop", a->stop, "end before this text; may be repeated")->allow_extra_args(false);
  command->add_flag("--ignore-eos", a->ignore_eos, "go on where the model would end");
  command->add_flag("--special", a->special, "write control tokens into the text");
  CLI::Option* echo = command->add_flag("--echo", a->echo, "print the prompt before its continuation, as happens on a terminal");
  command->add_flag("--no-echo", a->no_echo, "never print the prompt, as happens in a pipe or file")->excludes(echo);
  command->add_flag("--print-tokens", a->print_tokens, "print token ids instead of text, on one line");
  command->add_flag("--json", a->json, "print one JSON object at the end: tokens, text, figures");
  add_sampling_options(*command, a->sampling);
  add_session_options(*command, a->session);
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load);
  command->footer("Ctrl-C ends the text; what was measured is still printed, on standard error.\n"
                  "With a --session that exists and no prompt the text goes on where the session ended; with a prompt the\n"
                  "session saves evaluating what both begin with.");
  command->callback([a, text, ids, &code] {
    a->has_text = text->count() > 0;
    a->has_ids = ids->count() > 0;
    auto result = run(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
