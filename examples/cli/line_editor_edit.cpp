// Owns: lines with editing and history through libedit.
#include <editline/readline.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "examples/cli/line_editor.h"
#include "examples/cli/terminal.h"

namespace cli {

std::optional<std::string> read_line(const char* prompt, bool editing) {
  if (!editing) {
    std::string line;
    if (std::getline(std::cin, line)) return line;
    return std::nullopt;
  }
  static const bool ready = [] {
    std::setlocale(LC_CTYPE, "");  // libedit reads wide characters
    using_history();
    return true;
  }();
  char* text = readline(prompt);
  if (!text) {
    if (!interrupted()) return std::nullopt;
    std::fputs("\n", stdout);
    return std::string();
  }
  std::string line = text;
  std::free(text);
  if (ready && !line.empty()) add_history(line.c_str());
  return line;
}

}  // namespace cli
