// Owns: `strata template`: a conversation as a model's chat template writes it. Loads no weights.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/template_options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct RenderArguments {
  TemplateArguments chat;
  std::string model, messages, tools, variant;
  bool no_generation_prompt = false, source = false, json = false;
};

/// Exactly the text's bytes; on a terminal a line end follows.
int write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (stdout_is_terminal()) std::printf("\n");
  return exit_ok;
}

Result<int> print_json(const RenderArguments& a, const ChatPrompt& prompt) {
  nlohmann::ordered_json json;
  json["text"] = prompt.text;
  json["content"] = nlohmann::json::array();
  for (const TextRange& range : prompt.content) json["content"].push_back({range.begin, range.end});
  if (!a.model.empty()) {
    auto tokenizer = Tokenizer::load(a.model);
    if (!tokenizer) return tokenizer.error();
    auto tokens = tokenizer->encode(prompt);
    if (!tokens) return tokens.error();
    json["tokens"] = *tokens;
  }
  std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return exit_ok;
}

Result<int> render(const RenderArguments& a) {
  auto usage = [](const char* message) { return Error{ErrorCode::invalid_argument, message}; };
  if (a.model.empty() && a.chat.file.empty()) return usage("give a MODEL or --template FILE");
  if (a.source != a.messages.empty())
    return usage("give a conversation with --messages FILE, or ask for the template with --source");
  auto options = chat_options(a.chat);
  if (!options) return options.error();
  auto chat = chat_template(a.chat, a.model);
  if (!chat) return chat.error();
  if (a.source) {
    if (chat->source(a.variant).empty())
      return Error{ErrorCode::not_found, "there is no chat template named '" + a.variant + "'"};
    return write(chat->source(a.variant));
  }
  auto messages = read_input(a.messages);
  if (!messages) return messages.error();
  if (!a.tools.empty()) {
    auto tools = read_input(a.tools);
    if (!tools) return tools.error();
    options->tools = std::move(*tools);
  }
  options->add_generation_prompt = !a.no_generation_prompt;
  options->variant = a.variant;
  auto prompt = chat->render(*messages, *options);
  if (!prompt) return prompt.error();
  return a.json ? print_json(a, *prompt) : write(prompt->text);
}

}  // namespace

void add_template(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("template", "write a conversation as a model's chat template does");
  auto a = std::make_shared<RenderArguments>();
  command->add_option("MODEL", a->model, "a GGUF file; its template and the texts of its tokens are used");
  add_template_options(*command, a->chat);
  command->add_option("--messages", a->messages,
                      "a JSON array of messages: [{\"role\": \"user\", \"content\": \"Hi\"}]; - is standard input");
  command->add_option("--tools", a->tools, "a JSON array of tools");
  command->add_option("--variant", a->variant, "one of the model's named templates, e.g. tool_use");
  command->add_flag("--no-generation-prompt", a->no_generation_prompt,
                    "end behind the last message, not where an answer begins");
  command->add_flag("--source", a->source, "print the template itself");
  command->add_flag("--json", a->json,
                    "print {\"text\", \"content\", \"tokens\"}: content lists the byte ranges that are conversation");
  command->callback([a, &code] {
    auto result = render(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
