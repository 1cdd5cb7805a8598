// Owns: reading lines from the user, with editing and history where the build has a library for it.
#pragma once

#include <optional>
#include <string>

namespace cli {

/// One line without its end; nothing at the end of input. Ctrl-C gives an empty line and sets `interrupted()`.
/// `editing` shows `prompt` and keeps history; without it the line is read as it comes.
std::optional<std::string> read_line(const char* prompt, bool editing);

}  // namespace cli
