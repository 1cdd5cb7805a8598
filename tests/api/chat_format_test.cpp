// Owns: tests of the ChatML and Llama 3 formats, against rendered templates where the shared data is here.
#include "text/chat_format.h"

#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/shared.h"

using namespace strata;
using text::ChatMessage;

namespace {

constexpr const char* plain_chatml =
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

std::string render(std::string_view chat_template, std::vector<ChatMessage> messages, bool open, std::string_view bos = {}) {
  auto result = text::format_chat(chat_template, messages, open, bos);
  return result ? *result : "error: " + result.error().message;
}

}  // namespace

TEST_CASE("a plain ChatML template") {
  CHECK(render(plain_chatml, {{"system", "Be brief."}, {"user", " Hi "}}, true) ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\n");
  CHECK(render(plain_chatml, {{"user", "Hi"}, {"assistant", "Yo"}}, false) ==
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>\n");
}

TEST_CASE("a ChatML template with a system text of its own") {
  const char* chat_template =
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
      "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
      "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}";
  CHECK(render(chat_template, {{"user", "Hi"}}, true) ==
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n");
  CHECK(render(chat_template, {{"system", "S"}, {"user", "Hi"}}, false) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n");
}

TEST_CASE("what cannot be rendered is an error that says so") {
  CHECK(render("", {{"user", "Hi"}}, true).find("error: the model has no chat template") == 0);
  CHECK(render("[INST] {{ x }} [/INST]", {{"user", "Hi"}}, true).find("neither ChatML nor Llama 3") != std::string::npos);
  CHECK(render(plain_chatml, {}, true).find("at least one message") != std::string::npos);
  CHECK(render(plain_chatml, {{"tool", "Hi"}}, true).find("role 'tool'") != std::string::npos);
}

TEST_CASE("real templates render to the byte") {
  int compared = 0;
  for (const char* name : {"Qwen-Qwen3-0.6B", "Qwen3-Coder", "Qwen3.5-4B", "meta-llama-Llama-3.1-8B-Instruct",
                           "meta-llama-Llama-3.3-70B-Instruct"}) {
    auto source = test::shared(std::string("conformance/templates/") + name + ".jinja");
    auto cases = test::shared(std::string("conformance/templates/") + name + ".cases.json");
    if (!source || !cases) return;
    std::string chat_template = test::read_text(*source);
    const auto goldens = nlohmann::json::parse(test::read_text(*cases));
    for (const auto& item : goldens["cases"]) {
      const auto& context = item["context"];
      // What this format cannot say: tools, separate reasoning, content in parts, thinking switched off.
      bool plain = item.contains("expected") && !context.contains("tools") && !context.contains("enable_thinking");
      for (const auto& m : context["messages"])
        plain = plain && m.size() == 2 && m.contains("content") && m["content"].is_string() && m["role"] != "tool";
      if (!plain) continue;
      std::vector<ChatMessage> messages;
      for (const auto& m : context["messages"])
        messages.push_back({m["role"].get_ref<const std::string&>(), m["content"].get_ref<const std::string&>()});
      INFO(name << " " << item["id"]);
      CHECK(render(chat_template, messages, context["add_generation_prompt"], context["bos_token"].get<std::string>()) ==
            item["expected"].get<std::string>());
      ++compared;
    }
  }
  CHECK(compared >= 20);
}
