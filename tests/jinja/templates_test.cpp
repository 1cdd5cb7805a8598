// Owns: published chat templates against what Jinja makes of them, to the byte.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/shared.h"
#include "text/chat_template.h"

using namespace strata;
using nlohmann::ordered_json;

namespace {

/// The context of a golden case as the template gets it.
text::ChatInput input_of(const ordered_json& context, std::string& messages, std::string& tools) {
  text::ChatInput out;
  messages = context["messages"].dump();
  out.messages = messages;
  out.open_answer = false;
  for (const auto& [name, value] : context.items()) {
    if (name == "messages") continue;
    if (name == "tools") {
      tools = value.is_null() ? "" : value.dump();
      out.tools = tools;
    } else if (name == "add_generation_prompt") {
      out.open_answer = value.get<bool>();
    } else if (name == "bos_token" || name == "eos_token") {
      out.tokens.emplace_back(name, value.get<std::string>());
    } else {
      out.variables.emplace_back(name, value.dump());
    }
  }
  return out;
}

}  // namespace

TEST_CASE("published templates render to the byte") {
  auto folder = test::shared("conformance/templates");
  if (!folder) return;
  int rendered = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const auto source = test::read_text(entry.path().string());
    const auto goldens =
        ordered_json::parse(test::read_text((*folder + "/" + entry.path().stem().string()) + ".cases.json"));
    auto chat = text::ChatTemplate::parse(source);
    INFO(entry.path().filename().string());
    if (!chat) FAIL(chat.error().message);
    for (const auto& item : goldens["cases"]) {
      INFO(item["id"]);
      std::string messages, tools;
      text::ChatInput input = input_of(item["context"], messages, tools);
      input.now = text::jinja::Time{2026, 11, 21, 9, 3, 44};
      auto result = chat->render(input);
      if (item.contains("expected")) {
        CHECK((result ? result->text : "error: " + result.error().message) == item["expected"].get<std::string>());
        ++rendered;
      } else if (item["error_kind"] == "raise_exception") {
        REQUIRE_FALSE(result);
        CHECK(result.error().message.find("refuses the conversation") != std::string::npos);
        ++refused;
      } else {
        CHECK_FALSE(result);
      }
    }
  }
  CHECK(rendered >= 180);
  CHECK(refused >= 10);
}
