// Owns: the variables of a chat template. Source: the chat template pages of Hugging Face's transformers documentation.
#include "text/chat_template.h"

#include "base/text.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/json.h"
#include "text/jinja/parser.h"
#include "text/utf8.h"

namespace strata::text {

namespace {

/// Real ones have under 20 thousand bytes.
constexpr std::size_t max_template = std::size_t{1} << 20;

using Variables = std::vector<std::pair<std::string, jinja::Value>>;

/// Later values win.
void set(Variables& variables, std::string name, jinja::Value value) {
  for (auto& [key, old] : variables)
    if (key == name) return void(old = std::move(value));
  variables.emplace_back(std::move(name), std::move(value));
}

/// The value of JSON text; an error names `what`.
Result<jinja::Value> read(jinja::Machine& machine, std::string_view what, std::string_view json,
                          std::string_view structural_key) {
  jinja::Value out = jinja::parse_json(machine, json, structural_key);
  if (!machine.failed()) return out;
  std::string_view message = machine.error().message;
  if (constexpr std::string_view prefix = "chat template: "; message.starts_with(prefix))
    message.remove_prefix(prefix.size());
  return fail(machine.error().code, what, ": ", message);
}

bool is_list(const jinja::Value& value) { return value.is_sequence(); }

}  // namespace

const std::string_view chatml_template =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  if (source.size() > max_template)
    return fail(ErrorCode::bad_file, "chat template: ", source.size(), " bytes; at most ", max_template, " are read");
  if (!valid_utf8(source)) return fail(ErrorCode::bad_file, "chat template: is not UTF-8");
  auto program = jinja::parse(source);
  if (!program) return program.error();
  return ChatTemplate(std::make_shared<const jinja::Block>(std::move(*program)));
}

Result<ChatPrompt> ChatTemplate::render(const ChatInput& input) const {
  jinja::Machine machine(input.limits, input.now);
  Variables variables;
  // A role is part of the structure: templates write it between control tokens, or build one out of it.
  auto messages = read(machine, "messages", input.messages, "role");
  if (!messages) return messages.error();
  if (!is_list(*messages)) return fail(ErrorCode::invalid_argument, "messages: not a JSON array");
  for (const jinja::Value& message : messages->sequence().items)
    if (!message.is_dict()) return fail(ErrorCode::invalid_argument, "messages: an element is not a JSON object");
  jinja::Value tools = jinja::Value::none();
  if (!input.tools.empty()) {
    auto given = read(machine, "tools", input.tools, {});
    if (!given) return given.error();
    if (!is_list(*given) && !given->is_none()) return fail(ErrorCode::invalid_argument, "tools: not a JSON array");
    tools = std::move(*given);
  }
  for (const auto& [name, text] : input.tokens) set(variables, name, machine.text(text));
  set(variables, "messages", std::move(*messages));
  set(variables, "tools", std::move(tools));
  set(variables, "documents", jinja::Value::none());
  set(variables, "add_generation_prompt", jinja::Value::of(input.open_answer));
  for (const auto& [name, json] : input.variables) {
    auto value = read(machine, name, json, {});
    if (!value) return value.error();
    set(variables, name, std::move(*value));
  }

  jinja::Interpreter interpreter(machine);
  const jinja::Value text = interpreter.run(*program_, variables);
  if (machine.failed()) return machine.error();
  ChatPrompt out{text.string().bytes, {}};
  for (const jinja::Span& span : text.string().content) out.content.push_back({span.begin, span.end});
  return out;
}

}  // namespace strata::text
