// Owns: what the commands that write conversations ask for, and making it the library's options. Knows CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "strata/chat.h"

namespace cli {

struct TemplateArguments {
  std::string file;              ///< a template in place of the model's
  std::vector<std::string> set;  ///< KEY=JSON
  std::string now;               ///< 2026-11-21T09:03:44, or empty: the clock
};
/// --template --set --now.
void add_template_options(CLI::App& app, TemplateArguments& arguments);
/// A time as --now writes it: 2026-11-21T09:03:44.
std::optional<strata::LocalTime> parse_time(const std::string& text);
std::string time_text(const strata::LocalTime& time);
/// The variables and the time.
strata::Result<strata::ChatOptions> chat_options(const TemplateArguments& arguments);
/// The template of a model's file, or the one given instead; without a model that one alone.
strata::Result<strata::ChatTemplate> chat_template(const TemplateArguments& arguments, const std::string& model);

}  // namespace cli
