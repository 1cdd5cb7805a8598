// Owns: telling thoughts from answers: markers of each kind, cut anywhere, and what only looks like one. Knows the public
// API and the conformance templates.
#include <filesystem>

#include "strata/chat.h"
#include "support/catch.h"
#include "support/shared.h"

using namespace strata;

namespace {

struct Split {
  std::string answer, thought;
  bool operator==(const Split&) const = default;
};

/// The pieces' texts, which must agree with what the splitter says it has given.
Split split(std::string_view prompt, std::initializer_list<std::string_view> pieces) {
  AnswerSplitter splitter(prompt);
  Split out;
  auto take = [&](const std::vector<AnswerText>& texts) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      CHECK_FALSE(texts[i].text.empty());
      if (i > 0) CHECK(texts[i].thought != texts[i - 1].thought);
      (texts[i].thought ? out.thought : out.answer) += texts[i].text;
    }
  };
  for (std::string_view piece : pieces) take(splitter.push(piece));
  take(splitter.finish());
  CHECK(splitter.finish().empty());
  CHECK(splitter.answer() == out.answer);
  CHECK(splitter.thought() == out.thought);
  return out;
}

struct Case {
  const char* prompt;
  const char* text;
  Split wanted;
};
const Case cases[] = {
    // Qwen3, DeepSeek R1: the thought opened by the model, or by the prompt.
    {"assistant\n", "<think>\nA sum.\nEasy.\n</think>\n\nFour.\n", {"Four.\n", "A sum.\nEasy."}},
    {"assistant\n<think>\n", "A sum.\r\n</think>\n\nFour", {"Four", "A sum."}},
    {"<think>", "\n\nA sum.</think>Four", {"Four", "A sum."}},
    {"<think>\n\n</think>\n\n", "Four", {"Four", ""}},
    {"", "\n \n<think>\n\n</think>\n\nFour", {"Four", ""}},
    {"", "<think>a</think><think>b</think>", {"<think>b</think>", "a"}},
    {"<think>\n", "no end\n\n</think", {"", "no end\n\n</think"}},
    {"<think>\n", "a < b </thin></think>c", {"c", "a < b </thin>"}},
    {"<think>\n", "", {"", ""}},
    // Gemma 4.
    {"<|turn>model\n", "<|channel>thought\nA sum.\n<channel|>Four", {"Four", "A sum."}},
    {"<|channel>thought\n<channel|>", "Four", {"Four", ""}},
    // harmony
    {"<|start|>assistant", "<|channel|>analysis<|message|>A sum.\n<|end|><|start|>assistant<|channel|>final<|message|>Four\n", {"Four\n", "A sum.\n"}},
    {"", "<|channel|>final<|message|>Four", {"Four", ""}},
    {"", "<|message|>Four", {"Four", ""}},
    {"", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", {"", "a\n{}"}},
    {"", "<|start|>assistant<|channel|>analysis<|message|>a<|channel|>final<|message|>b<|return|>", {"b", "a"}},
    {"", "<|channel|>analysis<|message|>a < b <|en", {"", "a < b <|en"}},
    {"", "<|channel|>final<|message|>a<|end|><|start|>assist", {"a", ""}},
    {"", "<|channel|>ana", {"", ""}},
    // No markers, or none where they count.
    {"", "Four", {"Four", ""}},
    {"", "  \n Four \n", {"  \n Four \n", ""}},
    {"", " \n", {" \n", ""}},
    {"", "", {"", ""}},
    {"", "<thin", {"<thin", ""}},
    {"", "<|channel", {"<|channel", ""}},
    {"", "<thing> is a word", {"<thing> is a word", ""}},
    {"", "Write <think> and </think> or <|channel|>final<|message|>", {"Write <think> and </think> or <|channel|>final<|message|>", ""}},
    {"the user said <think> here", "Four", {"Four", ""}},
};

}  // namespace

TEST_CASE("an answer and its thoughts, cut at every byte") {
  for (const Case& c : cases) {
    const std::string_view text = c.text;
    INFO(c.prompt << "|" << text);
    CHECK(split(c.prompt, {text}) == c.wanted);
    for (std::size_t a = 0; a <= text.size(); ++a) {
      INFO("cut at " << a);
      CHECK(split(c.prompt, {text.substr(0, a), text.substr(a)}) == c.wanted);
    }
    AnswerSplitter bytes(c.prompt);
    for (char byte : text) bytes.push(std::string_view(&byte, 1));
    bytes.finish();
    CHECK(bytes.answer() == c.wanted.answer);
    CHECK(bytes.thought() == c.wanted.thought);
  }
}

TEST_CASE("text is passed on as soon as it is no marker") {
  AnswerSplitter splitter("<think>\n");
  auto only = [](std::vector<AnswerText> texts) { return texts.size() == 1 ? (texts[0].thought ? "thought: " : "") + texts[0].text : "?"; };
  CHECK(only(splitter.push("Hm, a <")) == "thought: Hm, a ");
  CHECK(only(splitter.push(" b")) == "thought: < b");
  CHECK(splitter.push("\n</th").empty());
  CHECK(splitter.push("ink>\n").empty());
  CHECK(only(splitter.push("\nYes")) == "Yes");
  CHECK(only(splitter.push("\n")) == "\n");
}

TEST_CASE("a message without its marker becomes text in the end") {
  const std::string babble = "<|start|>" + std::string(1000, 'x');
  CHECK(split("", {babble}) == Split{babble, ""});
}

TEST_CASE("templates find thoughts under the names they look for") {
  struct Pair {
    const char* chat;
    const char* wanted;
  };
  for (const Pair& pair : {Pair{"Qwen-Qwen3-0.6B", "<think>\nA sum.\n</think>\n\nFour"}, Pair{"Qwen3.5-4B", "<think>\nA sum.\n</think>\n\nFour"},
                           Pair{"GLM-4.6", "<think>A sum.</think>\nFour"},
                           Pair{"openai-gpt-oss-120b", "<|channel|>analysis<|message|>A sum.<|end|><|start|>assistant<|channel|>final<|message|>Four"}}) {
    auto source = test::shared(std::string("conformance/templates/") + pair.chat + ".jinja");
    if (!source) return;
    INFO(pair.chat);
    auto chat = ChatTemplate::parse(test::read_text(*source)).value_or_throw();
    std::vector<Message> messages = {{"user", "2 + 2?"}, {"assistant", "Four", "A sum."}};
    ChatOptions options;
    options.add_generation_prompt = false;
    options.now = LocalTime{2026, 11, 21, 9, 3, 44};
    CHECK(chat.render(messages, options).value_or_throw().text.find(pair.wanted) != std::string::npos);
    // What a model writes there is told apart again.
    CHECK(split("", {pair.wanted}) == Split{"Four", "A sum."});
    // Thoughts of earlier turns are left out.
    messages.push_back({"user", "Sure?"});
    options.add_generation_prompt = true;
    CHECK(chat.render(messages, options).value_or_throw().text.find("A sum.") == std::string::npos);
  }
}
