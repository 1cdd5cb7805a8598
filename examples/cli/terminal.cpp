// Owns: the programs' dealings with the terminal and with signals. Knows POSIX and the C library.
#include "examples/cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>

namespace cli {
namespace {

std::string program_name = "strata";
std::vector<std::string> words_of_call;
volatile std::sig_atomic_t interrupt_flag = 0;

void on_interrupt(int) { interrupt_flag = 1; }

/// Characters of UTF-8 text: all bytes but continuation bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string print_to_string(const char* format, int digits, double value) {
  char buffer[400];
  int length = std::snprintf(buffer, sizeof buffer, format, digits, value);
  return std::string(buffer, static_cast<std::size_t>(std::clamp(length, 0, static_cast<int>(sizeof buffer) - 1)));
}

std::string scaled(double value, const char* const (&units)[5]) {
  int unit = 0;
  while (value >= 1000 && unit < 4) value /= 1000, ++unit;
  int digits = unit == 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return fixed(value, digits) + units[unit];
}

}  // namespace

int exit_code(strata::ErrorCode code) {
  using strata::ErrorCode;
  switch (code) {
    case ErrorCode::invalid_argument: return exit_usage;
    case ErrorCode::out_of_memory:
    case ErrorCode::context_full: return exit_memory;
    case ErrorCode::cancelled: return exit_interrupted;
    case ErrorCode::not_found:
    case ErrorCode::io:
    case ErrorCode::bad_file:
    case ErrorCode::unsupported:
    case ErrorCode::device: return exit_file;
  }
  return exit_usage;
}

void set_program_name(std::string_view name) { program_name = name; }
void set_command_words(int count, const char* const* words) { words_of_call.assign(words, words + count); }
const std::vector<std::string>& command_words() { return words_of_call; }

int report(int code, std::string_view message) {
  std::string line = program_name + ": " + std::string(message);
  std::replace_if(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  std::fprintf(stderr, "%s\n", line.c_str());
  return code;
}

void warn(std::string_view message) { report(exit_ok, "warning: " + std::string(message)); }

int report(const strata::Error& error) { return report(exit_code(error.code), error.message); }

int finish_output(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return report(exit_file, "standard output could not be written");
}

void catch_interrupt() {
  interrupt_flag = 0;
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESETHAND;  // and no SA_RESTART: a read that waits for input ends
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() { return interrupt_flag != 0; }

bool stdout_is_terminal() { return isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) != 0; }
bool stdin_is_terminal() { return isatty(STDIN_FILENO) != 0; }

ProgressBar::ProgressBar(std::string label) : label_(std::move(label)), visible_(stderr_is_terminal()) {
  next_ = now_seconds() + 0.3;  // short work shows no bar
}

ProgressBar::~ProgressBar() {
  if (visible_ && shown_ >= 0) std::fputs("\r\033[K", stderr);
}

void ProgressBar::update(double share) {
  constexpr double pause = 0.1;  // seconds; between two pictures
  if (!visible_ || now_seconds() < next_) return;
  next_ = now_seconds() + pause;
  int now = static_cast<int>(std::clamp(share, 0.0, 1.0) * 1000);
  if (now == shown_) return;
  shown_ = now;
  constexpr int cells = 40;
  int full = now * cells / 1000;
  std::string bar = std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(cells - full), '.');
  std::fprintf(stderr, "\r%s [%s] %3d%%", label_.c_str(), bar.c_str(), now / 10);
  std::fflush(stderr);
}

Table::Table(std::vector<std::string> headings) {
  for (std::string& heading : headings) {
    right_.push_back(heading.starts_with('>'));
    if (right_.back()) heading.erase(0, 1);
  }
  rows_.push_back(std::move(headings));
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(right_.size());
  rows_.push_back(std::move(cells));
}

void Table::print() const {
  std::vector<std::size_t> widths(right_.size(), 0);
  for (const auto& cells : rows_)
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  for (const auto& cells : rows_) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string padding(widths[i] - width(cells[i]), ' ');
      line += right_[i] ? padding + cells[i] : cells[i] + padding;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  }
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string fixed(double value, int digits) { return print_to_string("%.*f", digits, value); }
std::string scientific(double value) { return print_to_string("%.*e", 1, value); }
std::string byte_text(std::uint64_t bytes) { return scaled(static_cast<double>(bytes), {" B", " kB", " MB", " GB", " TB"}); }
std::string count_text(std::uint64_t count) { return scaled(static_cast<double>(count), {"", " k", " M", " G", " T"}); }
double round2(double value) { return std::round(value * 100) / 100; }

}  // namespace cli
