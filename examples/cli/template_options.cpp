// Owns: the options of templates. Knows the computer's clock.
#include "examples/cli/template_options.h"

#include <cstdio>
#include <ctime>

#include "examples/cli/options.h"

namespace cli {

using namespace strata;

namespace {

LocalTime clock_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  return {parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec};
}

}  // namespace

std::optional<LocalTime> parse_time(const std::string& text) {
  LocalTime t;
  int end = 0;
  const int found = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &t.year, &t.month, &t.day, &t.hour,
                                &t.minute, &t.second, &end);
  if (found == 6 && static_cast<std::size_t>(end) == text.size()) return t;
  return std::nullopt;
}

std::string time_text(const LocalTime& t) {
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month, t.day, t.hour, t.minute, t.second);
  return text;
}

void add_template_options(CLI::App& app, TemplateArguments& a) {
  app.add_option("--template", a.file, "a file that holds a chat template, in place of the model's own");
  app.add_option("--set", a.set, "a variable of the template as KEY=JSON, e.g. enable_thinking=false; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=JSON");
  app.add_option("--now", a.now,
                 "the time that the template is told, e.g. 2026-11-21T09:03:44; the clock's where none is given");
}

Result<ChatOptions> chat_options(const TemplateArguments& a) {
  ChatOptions out;
  for (const std::string& variable : a.set) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error{ErrorCode::invalid_argument, "--set: '" + variable + "' is not KEY=JSON"};
    out.variables.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }
  if (a.now.empty()) {
    out.now = clock_time();
  } else {
    out.now = parse_time(a.now);
    if (!out.now)
      return Error{ErrorCode::invalid_argument, "--now: '" + a.now + "' is no time; write e.g. 2026-11-21T09:03:44"};
  }
  return out;
}

Result<ChatTemplate> chat_template(const TemplateArguments& a, const std::string& model) {
  if (a.file.empty()) return ChatTemplate::load(model);
  auto source = read_input(a.file);
  if (!source) return source.error();
  return model.empty() ? ChatTemplate::parse(*source) : ChatTemplate::load(model, *source);
}

}  // namespace cli
