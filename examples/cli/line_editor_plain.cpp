// Owns: lines without editing, where no editing library was found.
#include <cerrno>
#include <cstdio>
#include <iostream>

#include "examples/cli/line_editor.h"
#include "examples/cli/terminal.h"

namespace cli {

std::optional<std::string> read_line(const char* prompt, bool editing) {
  if (editing) {
    std::fputs(prompt, stdout);
    std::fflush(stdout);
  }
  std::string line;
  if (std::getline(std::cin, line)) return line;
  std::cin.clear();
  if (!interrupted()) return std::nullopt;
  return std::string();
}

}  // namespace cli
