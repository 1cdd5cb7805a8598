// Owns: how the programs talk: exit codes, one-line errors, progress bars, tables, Ctrl-C, units. Knows no command.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "strata/result.h"

namespace cli {

enum Exit : int {
  exit_ok = 0,
  exit_failed = 1,        ///< a test of the program did not pass
  exit_usage = 2,         ///< bad usage or bad input
  exit_file = 3,          ///< a file, model or device cannot be used
  exit_memory = 4,        ///< out of memory or context
  exit_interrupted = 130  ///< Ctrl-C, as shells report it
};

int exit_code(strata::ErrorCode code);
/// Sets the name in front of error messages.
void set_program_name(std::string_view name);
/// Keeps the words that the program was called with.
void set_command_words(int count, const char* const* words);
const std::vector<std::string>& command_words();
/// Prints `strata: MESSAGE` to stderr as one line and returns `code`.
int report(int code, std::string_view message);
int report(const strata::Error& error);
/// Prints `strata: warning: MESSAGE` to stderr as one line.
void warn(std::string_view message);
/// `code`, or exit_file with a message where standard output could not be written.
int finish_output(int code);

/// From now on the first Ctrl-C only sets the flag that `interrupted` reads; a second one ends the program.
void catch_interrupt();
bool interrupted();

bool stdout_is_terminal();
bool stderr_is_terminal();
bool stdin_is_terminal();

/// A bar on stderr, when that is a terminal; it is wiped when it goes out of scope.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void update(double share);  ///< 0..1

 private:
  std::string label_;
  int shown_ = -1;  ///< per mille on the screen
  bool visible_;
  double next_ = 0;  ///< when the bar may be drawn again
};

/// Rows of cells in columns as wide as needed, on stdout.
class Table {
 public:
  /// A heading that starts with '>' is aligned right, and so is its column.
  explicit Table(std::vector<std::string> headings);
  void row(std::vector<std::string> cells);
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

/// Seconds of a clock that never jumps.
double now_seconds();

std::string fixed(double value, int digits);
std::string scientific(double value);        ///< "1.2e-07"
std::string byte_text(std::uint64_t bytes);  ///< decimal units: "5.54 MB"
std::string count_text(std::uint64_t count); ///< "8.87 M"
double round2(double value);                 ///< to two decimals

}  // namespace cli
