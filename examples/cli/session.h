// Owns: what commands ask of a session: adapters, a file to keep it in, shifting. Knows CLI11 and the public API.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "strata/strata.h"

namespace cli {

struct SessionArguments {
  int context = 0;
  std::vector<std::string> lora, lora_scaled;  ///< files; FILE=SCALE or FILE:SCALE
  std::string file;                            ///< loaded where it exists, saved at the end; empty: none
  bool shift = false;
  int keep = 4;  ///< tokens at the beginning that a shift leaves
};

/// --lora --lora-scaled.
void add_adapter_options(CLI::App& app, SessionArguments& arguments);
/// --session --context-shift --keep.
void add_session_options(CLI::App& app, SessionArguments& arguments);

strata::Result<std::vector<strata::AdapterUse>> load_adapters(const strata::Model& model, const SessionArguments& arguments);
/// A session as asked for, with the saved past where there is a file. An error also where it may shift but cannot.
strata::Result<strata::Session> open_session(const strata::Model& model, const SessionArguments& arguments);

/// GenerateOptions::shift_keep.
inline int shift_keep(const SessionArguments& arguments) { return arguments.shift ? arguments.keep : -1; }

/// The timeline after `generate`: with the last token, which nothing came after, where it belongs to the text.
std::vector<strata::Token> timeline_after(const strata::Session& session, const strata::Generated& out);

/// Saves the timeline, where there is a file, after evaluating what it lacks of it.
strata::Result<void> save_session(strata::Session& session, const std::vector<strata::Token>& timeline, const SessionArguments& arguments);

}  // namespace cli
