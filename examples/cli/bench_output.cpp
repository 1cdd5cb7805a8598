// Owns: the tables of `strata bench` for terminals, Markdown and spreadsheets. Knows no measuring.
#include <algorithm>
#include <cstdio>
#include <functional>

#include "examples/cli/bench.h"
#include "examples/cli/statistics.h"
#include "examples/cli/terminal.h"

namespace cli {

namespace {

/// A heading that starts with '>' is aligned right.
struct TableText {
  std::vector<std::string> headings;
  std::vector<std::vector<std::string>> rows;
};

/// An axis of settings: its name, and a setting's place on it.
struct Axis {
  const char* name;
  std::function<std::string(const BenchSetting&)> text;
};

const std::vector<Axis>& axes() {
  static const std::vector<Axis> all{
      {"device", [](const BenchSetting& s) { return s.device; }},
      {"isa", [](const BenchSetting& s) { return s.isa.empty() ? "best" : s.isa; }},
      {"threads", [](const BenchSetting& s) { return std::to_string(s.threads); }},
      {"pages", [](const BenchSetting& s) { return s.pages; }},
      {"cache", [](const BenchSetting& s) { return s.kv_type; }},
      {"batch", [](const BenchSetting& s) { return std::to_string(s.batch); }},
      {"sequences", [](const BenchSetting& s) { return std::to_string(s.sequences); }}};
  return all;
}

/// Those on which settings differ.
std::vector<Axis> varying(const BenchReport& report) {
  std::vector<Axis> out;
  for (const Axis& axis : axes())
    if (std::any_of(report.settings.begin(), report.settings.end(),
                    [&](const BenchSetting& s) { return axis.text(s) != axis.text(report.settings.front()); }))
      out.push_back(axis);
  return out;
}

std::string seconds_text(double seconds) { return seconds < 1 ? fixed(1000 * seconds, 0) + " ms" : fixed(seconds, 2) + " s"; }

std::string depth_text(const BenchRow& row) {
  return std::to_string(row.depth) + (row.fill > 0 && row.kind != BenchKind::fill ? " (" + std::to_string(row.fill) + "%)" : "");
}

TableText rates(const BenchReport& report) {
  TableText out;
  const std::vector<Axis> shown = varying(report);
  for (const Axis& axis : shown) out.headings.emplace_back(axis.name);
  for (const char* heading : {"test", ">depth", ">tok/s", ">min", ">max", ">TTFT", ">GB/s", ">of memory"}) out.headings.emplace_back(heading);
  for (const BenchRow& row : report.rows) {
    const BenchSetting& setting = report.settings[row.setting];
    std::vector<std::string> cells;
    for (const Axis& axis : shown) cells.push_back(axis.text(setting));
    const Spread r = spread(row.rates);
    cells.push_back(std::string(name(row.kind)) + " " + std::to_string(row.tokens));
    cells.push_back(depth_text(row));
    for (double rate : {r.median, r.low, r.high}) cells.push_back(fixed(rate, 2));
    cells.push_back(row.first_token.empty() ? "" : seconds_text(spread(row.first_token).median));
    if (row.bytes > 0) {
      cells.push_back(fixed(r.median * row.bytes / 1e9, 2));
      if (const double most = report.bandwidth(setting); most > 0) cells.push_back(fixed(100 * r.median * row.bytes / most, 0) + "%");
    }
    cells.resize(out.headings.size());
    out.rows.push_back(std::move(cells));
  }
  return out;
}

TableText use_table(const BenchReport& report) {
  TableText out;
  const std::vector<Axis> shown = varying(report);
  for (const Axis& axis : shown) out.headings.emplace_back(axis.name);
  for (const char* heading : {">peak tok/s", ">tok/s at 75%", ">retention", ">TTFT at 75%", ">comfortable context"}) out.headings.emplace_back(heading);
  for (const BenchUse& use : uses(report)) {
    std::vector<std::string> cells;
    for (const Axis& axis : shown) cells.push_back(axis.text(report.settings[use.setting]));
    cells.push_back(fixed(use.peak, 1));
    cells.push_back(fixed(use.at_75, 1));
    cells.push_back(fixed(100 * use.retention, 0) + "%");
    cells.push_back(seconds_text(use.first_token_75));
    cells.push_back((use.comfortable_beyond ? "over " : "") + std::to_string(use.comfortable));
    out.rows.push_back(std::move(cells));
  }
  return out;
}

std::string headline(const BenchReport& report) {
  std::string out = report.model + ", " + report.quantisation + ", " + byte_text(report.file_bytes);
  const std::vector<Axis> shown = varying(report);
  for (const Axis& axis : axes())
    if (std::none_of(shown.begin(), shown.end(), [&](const Axis& other) { return axis.name == std::string(other.name); }))
      out += std::string(", ") + axis.name + " " + axis.text(report.settings.front());
  return out;
}

std::vector<std::string> notes(const BenchReport& report, bool with_uses) {
  std::vector<std::string> out;
  for (const BenchRoofline& r : report.rooflines)
    out.push_back("memory: " + std::to_string(r.threads) + (r.threads == 1 ? " thread reads " : " threads read ") +
                  fixed(r.memory.small_pages / 1e9, 1) + " GB/s from 4 KiB pages, " + fixed(r.memory.huge_pages / 1e9, 1) +
                  " GB/s from huge pages; peak memory " + byte_text(report.peak_memory));
  if (with_uses)
    out.push_back("context of " + std::to_string(report.context) + " tokens; comfortable: the longest prompt whose first token comes within " +
                  fixed(comfortable_seconds, 0) + " s, on the lines between measured fills");
  return out;
}

void print_terminal(const TableText& text) {
  Table table(text.headings);
  for (const auto& row : text.rows) table.row(row);
  table.print();
}

void print_markdown(const TableText& text) {
  std::string names = "|", rule = "|";
  for (const std::string& heading : text.headings) {
    const bool right = heading.starts_with('>');
    names += " " + heading.substr(right ? 1 : 0) + " |";
    rule += right ? "---:|" : "---|";
  }
  std::printf("%s\n%s\n", names.c_str(), rule.c_str());
  for (const auto& row : text.rows) {
    std::string line = "|";
    for (const std::string& cell : row) line += " " + cell + " |";
    std::printf("%s\n", line.c_str());
  }
}

/// A field of a comma-separated line (RFC 4180).
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

void print_table(const BenchReport& report) {
  std::printf("%s\n", headline(report).c_str());
  print_terminal(rates(report));
  const TableText summary = use_table(report);
  if (!summary.rows.empty()) {
    std::printf("\n");
    print_terminal(summary);
  }
  for (const std::string& note : notes(report, !summary.rows.empty())) std::printf("%s\n", note.c_str());
}

void print_markdown(const BenchReport& report) {
  std::printf("%s\n\n", headline(report).c_str());
  print_markdown(rates(report));
  const TableText summary = use_table(report);
  if (!summary.rows.empty()) {
    std::printf("\n");
    print_markdown(summary);
  }
  for (const std::string& note : notes(report, !summary.rows.empty())) std::printf("\n%s\n", note.c_str());
}

void print_csv(const BenchReport& report) {
  std::printf("model,quantisation,file_bytes,device,isa,threads,pages,kv_type,batch,sequences,test,tokens,depth,fill_percent,"
              "tok_per_s,min,max,ttft_s,bytes_per_token,gb_per_s,bandwidth_share\n");
  for (const BenchRow& row : report.rows) {
    const BenchSetting& s = report.settings[row.setting];
    std::string line = field(report.model) + "," + report.quantisation + "," + std::to_string(report.file_bytes);
    for (const Axis& axis : axes()) line += "," + field(axis.text(s));
    line += std::string(",") + name(row.kind) + "," + std::to_string(row.tokens) + "," + std::to_string(row.depth) + ",";
    if (row.fill > 0) line += std::to_string(row.fill);
    const Spread r = spread(row.rates);
    for (double rate : {r.median, r.low, r.high}) line += "," + fixed(rate, 3);
    line += "," + (row.first_token.empty() ? "" : fixed(spread(row.first_token).median, 5));
    if (row.bytes > 0) {
      line += "," + fixed(row.bytes, 0) + "," + fixed(r.median * row.bytes / 1e9, 3) + ",";
      if (const double most = report.bandwidth(s); most > 0) line += fixed(r.median * row.bytes / most, 4);
    } else {
      line += ",,,";
    }
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace cli
