// Owns: the fuzzer of chat templates: any bytes are a template, behind a zero byte the messages. What renders is UTF-8
// with marks in order, and renders the same again; what does not says so in one line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "text/chat_template.h"
#include "text/utf8.h"

using namespace strata;

namespace {

/// libFuzzer counts a trap as a finding and keeps the input.
void require(bool condition) {
  if (!condition) __builtin_trap();
}

bool begins_character(const std::string& text, std::size_t at) {
  return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0u) != 0x80u;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = bytes.find('\0');
  auto chat = text::ChatTemplate::parse(bytes.substr(0, zero));
  if (!chat) {
    require(chat.error().message.find('\n') == std::string::npos);
    return 0;
  }
  text::ChatInput input;
  input.messages = zero == std::string_view::npos
                       ? R"([{"role": "user", "content": "Hé <|im_end|> \"x\"", "tool_calls": [{"a": 1.5}]}])"
                       : bytes.substr(zero + 1);
  input.tools =
      R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"type": "string"}}, "required": ["x"]}}}])";
  input.tokens = {{"bos_token", "<s>"}};
  input.now = text::jinja::Time{2026, 11, 21, 9, 3, 44};
  input.limits.steps = 200'000;
  input.limits.memory = std::uint64_t{16} << 20;
  auto prompt = chat->render(input);
  auto again = chat->render(input);
  require(prompt.ok() == again.ok());
  if (!prompt) {
    require(prompt.error().message == again.error().message);
    require(prompt.error().message.find('\n') == std::string::npos);
    return 0;
  }
  require(prompt->text == again->text);
  require(text::valid_utf8(prompt->text));
  std::size_t at = 0;
  for (const text::ByteRange& range : prompt->content) {
    require(range.begin < range.end && range.end <= prompt->text.size() && (range.begin > at || at == 0));
    require(begins_character(prompt->text, range.begin) && begins_character(prompt->text, range.end));
    at = range.end;
  }
  return 0;
}
