// Owns: the public ChatTemplate: a file's templates and the texts of its tokens. Source: the GGUF specification,
// `tokenizer.chat_template`; Hugging Face's transformers for the variables' names.
#include "runtime/chat.h"

#include <algorithm>

#include "base/text.h"
#include "text/chat_template.h"
#include "text/utf8.h"

namespace strata {

struct ChatTemplate::State {
  struct Variant {
    std::string name, source;
    Result<text::ChatTemplate> program;  ///< a broken variant is an error when it is asked for
  };
  std::vector<Variant> variants;
  std::vector<std::pair<std::string, std::string>> tokens;
  bool fallback = false;

  const Variant* find(std::string_view name) const {
    auto at = std::find_if(variants.begin(), variants.end(), [name](const Variant& v) { return v.name == name; });
    return at == variants.end() ? nullptr : &*at;
  }
  void add(std::string_view name, std::string_view source) {
    variants.push_back({std::string(name), std::string(source), text::ChatTemplate::parse(source)});
  }
};

namespace {

constexpr std::string_view template_key = "tokenizer.chat_template";

/// JSON text of a string; bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string text) {
  std::string whole, out = "\"";
  text::take_complete(text, whole);
  if (!text.empty()) whole += text::replacement;
  for (char c : whole) {
    const auto byte = static_cast<unsigned char>(c);
    constexpr std::string_view hex = "0123456789abcdef";
    if (c == '"' || c == '\\') out += '\\', out += c;
    else if (byte < 0x20) out += "\\u00", out += hex[byte >> 4], out += hex[byte & 15];
    else out += c;
  }
  return out + '"';
}

struct TokenKey {
  std::string_view variable, key;
};
constexpr TokenKey token_keys[] = {
    {"bos_token", "tokenizer.ggml.bos_token_id"},     {"eos_token", "tokenizer.ggml.eos_token_id"},
    {"unk_token", "tokenizer.ggml.unknown_token_id"}, {"sep_token", "tokenizer.ggml.seperator_token_id"},
    {"pad_token", "tokenizer.ggml.padding_token_id"}, {"mask_token", "tokenizer.ggml.mask_token_id"},
};

/// The vocabulary's texts, or null.
const gguf::Value* tokens_of(const gguf::File& file) {
  const gguf::Value* tokens = file.find("tokenizer.ggml.tokens");
  const bool texts = tokens && tokens->type() == gguf::ValueType::array && tokens->count() > 0 &&
                     tokens->element_type() == gguf::ValueType::string;
  return texts ? tokens : nullptr;
}

bool knows_chatml(const gguf::Value& tokens) {
  int found = 0;
  for (std::uint64_t i = 0; i < tokens.count(); ++i) {
    const std::string_view text = tokens.element(i).as_string().value_or("");
    found += text == "<|im_start|>" || text == "<|im_end|>";
  }
  return found >= 2;
}

Result<void> add_templates(const gguf::File& file, ChatTemplate::State& state) {
  for (const gguf::Entry& entry : file.metadata()) {
    if (!entry.key.starts_with(template_key)) continue;
    std::string_view name = entry.key.substr(template_key.size());
    if (!name.empty() && !name.starts_with('.')) continue;  // tokenizer.chat_templates lists the names
    name.remove_prefix(name.empty() ? 0 : 1);
    auto source = entry.value.as_string();
    if (!source)
      return fail(ErrorCode::bad_file, entry.key, ": is of type ", gguf::name(entry.value.type()), ", not a string");
    if (!state.find(name)) state.add(name, *source);
  }
  if (state.find("")) return {};
  const gguf::Value* tokens = tokens_of(file);
  if (!tokens || !knows_chatml(*tokens))
    return fail(ErrorCode::unsupported, "the model has no chat template (", template_key,
                "); give one, or prompt it with text");
  state.fallback = state.variants.empty();
  state.add("", text::chatml_template);
  return {};
}

void add_tokens(const gguf::File& file, ChatTemplate::State& state) {
  const gguf::Value* tokens = tokens_of(file);
  for (const TokenKey& row : token_keys) {
    const gguf::Value* id = file.find(row.key);
    auto index = id ? id->as_unsigned() : std::nullopt;
    if (!index || !tokens || *index >= tokens->count()) continue;
    const std::string_view token = tokens->element(*index).as_string().value_or("");
    if (text::valid_utf8(token)) state.tokens.emplace_back(row.variable, token);
  }
}

}  // namespace

Result<ChatTemplate> runtime::make_chat_template(const gguf::File& file) {
  auto state = std::make_shared<ChatTemplate::State>();
  if (auto added = add_templates(file, *state); !added) return added.error();
  add_tokens(file, *state);
  return ChatTemplate(std::move(state));
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto state = std::make_shared<State>();
  state->add("", source);
  if (!state->variants[0].program) return state->variants[0].program.error();
  return ChatTemplate(std::move(state));
}

Result<ChatTemplate> ChatTemplate::load(const std::string& path) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  return runtime::make_chat_template(**file);
}
Result<ChatTemplate> ChatTemplate::load(const std::string& path, std::string_view source) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  auto state = std::make_shared<State>();
  state->add("", source);
  if (!state->variants[0].program) return state->variants[0].program.error();
  add_tokens(**file, *state);
  return ChatTemplate(std::move(state));
}

Result<ChatPrompt> ChatTemplate::render(std::string_view messages, const ChatOptions& options) const {
  const bool for_tools = options.variant.empty() && !options.tools.empty() && state_->find("tool_use");
  const std::string_view name = for_tools ? "tool_use" : std::string_view(options.variant);
  const State::Variant* variant = state_->find(name);
  if (!variant) return fail(ErrorCode::not_found, "the model has no chat template named '", name, "'");
  if (!variant->program) return variant->program.error();
  text::ChatInput input;
  input.messages = messages;
  input.tools = options.tools;
  input.open_answer = options.add_generation_prompt;
  input.tokens = state_->tokens;
  input.variables = options.variables;
  if (options.now) {
    const LocalTime& t = *options.now;
    if (t.year < 1 || t.year > 9999 || t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31 || t.hour < 0 ||
        t.hour > 23 || t.minute < 0 || t.minute > 59 || t.second < 0 || t.second > 61)
      return fail(ErrorCode::invalid_argument, "now: no date and time");
    input.now = text::jinja::Time{t.year, t.month, t.day, t.hour, t.minute, t.second};
  }
  auto prompt = variant->program->render(input);
  if (!prompt) return prompt.error();
  ChatPrompt out{std::move(prompt->text), {}};
  for (const text::ByteRange& range : prompt->content) out.content.push_back({range.begin, range.end});
  return out;
}

Result<ChatPrompt> ChatTemplate::render(std::span<const Message> messages, const ChatOptions& options) const {
  std::string json = "[";
  for (const Message& message : messages) {
    json += str(json.size() > 1 ? "," : "", "{\"role\":", quoted(message.role),
                ",\"content\":", quoted(message.content));
    if (!message.thought.empty()) {
      const std::string thought = quoted(message.thought);
      json += str(",\"reasoning_content\":", thought, ",\"thinking\":", thought);
    }
    json += '}';
  }
  return render(json + "]", options);
}

std::vector<std::string> ChatTemplate::variants() const {
  std::vector<std::string> out;
  for (const State::Variant& variant : state_->variants) out.push_back(variant.name);
  return out;
}
std::string_view ChatTemplate::source(std::string_view variant) const {
  const State::Variant* found = state_->find(variant);
  return found ? std::string_view(found->source) : std::string_view();
}
bool ChatTemplate::is_fallback() const { return state_->fallback; }

}  // namespace strata
