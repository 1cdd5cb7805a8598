// Owns: driving the built program `strata` as a process. Knows no header of strata.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/shared.h"

namespace program {

inline const std::string bundled = std::string(STRATA_MODELS) + "/strata-tiny-q4_k_m.gguf";

/// A folder of this process's own, removed at its end.
inline const std::filesystem::path& scratch() {
  struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / std::string("strata-cli-").append(std::to_string(::getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
  };
  static Folder folder;
  return folder.path;
}

inline void write_file(const std::filesystem::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

inline std::string quoted(const std::string& word) {
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

struct Outcome {
  int code;
  std::string out, err;
};

/// `before` goes in front of the program's name.
inline Outcome call_program(const std::string& program, const std::vector<std::string>& words, const std::string& input = {},
                            const std::string& before = {}) {
  std::filesystem::path in = scratch() / "in", out = scratch() / "out", err = scratch() / "err";
  write_file(in, input);
  std::string command = before + " " + quoted(program);
  for (const std::string& word : words) command.append(" ").append(quoted(word));
  command.append(" <").append(quoted(in.string())).append(" >").append(quoted(out.string()));
  command.append(" 2>").append(quoted(err.string()));
  int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status, strata::test::read_text(out.string()),
          strata::test::read_text(err.string())};
}

inline Outcome call(const std::vector<std::string>& words, const std::string& input = {}, const std::string& before = {}) {
  return call_program(STRATA_PROGRAM, words, input, before);
}

/// The program ends with this code and says why in exactly one line.
inline void check_error(const std::vector<std::string>& words, int code, const std::string& part = "") {
  Outcome o = call(words);
  std::string line;
  for (const std::string& word : words) line += word + " ";
  INFO(line << "stderr: " << o.err);
  CHECK(o.code == code);
  CHECK(o.out.empty());
  CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  CHECK(o.err.rfind("strata: ", 0) == 0);
  CHECK(o.err.find(part) != std::string::npos);
}

}  // namespace program
