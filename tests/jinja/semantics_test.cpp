// Owns: the language, construct by construct, against what Jinja itself makes of it (scripts/jinja-goldens).
#include <nlohmann/json.hpp>

#include "support/catch.h"
#include "support/shared.h"
#include "text/chat_template.h"

using namespace strata;
using nlohmann::ordered_json;

TEST_CASE("templates mean what Jinja says they mean") {
  const auto goldens =
      ordered_json::parse(test::read_text(std::string(STRATA_SOURCE_DIR) + "/tests/jinja/semantics.json"));
  const std::string messages = goldens["variables"]["messages"].dump();
  text::ChatInput input;
  input.messages = messages;
  input.now = text::jinja::Time{2026, 11, 21, 9, 3, 44};
  for (const auto& [name, value] : goldens["variables"].items())
    if (name != "messages") input.variables.emplace_back(name, value.dump());
  int agreed = 0;
  for (const auto& item : goldens["cases"]) {
    const std::string source = item["template"];
    INFO(source);
    auto chat = text::ChatTemplate::parse(source);
    auto result = chat ? chat->render(input) : Result<text::ChatPrompt>(chat.error());
    if (item.contains("expected")) {
      CHECK((result ? result->text : "error: " + result.error().message) == item["expected"].get<std::string>());
    } else {
      INFO("Jinja: " << item["error"]);
      CHECK_FALSE(result);
      if (result) continue;
      CHECK(result.error().message.find("chat template, line ") == 0);
      CHECK(result.error().message.find('\n') == std::string::npos);
    }
    ++agreed;
  }
  CHECK(agreed >= 150);
}
