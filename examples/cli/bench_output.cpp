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
      {"affinity", [](const BenchSetting& s) { return s.affinity; }},
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

std::string test_text(const BenchRow& row) { return std::string(name(row.kind)) + " " + std::to_string(row.tokens); }

std::string share_text(double share) { return fixed(100 * share, share < 0.1 ? 1 : 0) + "%"; }

TableText rates(const BenchReport& report) {
  TableText out;
  const std::vector<Axis> shown = varying(report);
  for (const Axis& axis : shown) out.headings.emplace_back(axis.name);
  for (const char* heading : {"test", ">depth", ">tok/s", ">min", ">max", ">TTFT", ">GB/s", ">of memory", ">GOP/s", ">of int8"})
    out.headings.emplace_back(heading);
  for (const BenchRow& row : report.rows) {
    const BenchSetting& setting = report.settings[row.setting];
    std::vector<std::string> cells;
    for (const Axis& axis : shown) cells.push_back(axis.text(setting));
    const Spread r = spread(row.rates);
    cells.push_back(test_text(row));
    cells.push_back(depth_text(row));
    for (double rate : {r.median, r.low, r.high}) cells.push_back(fixed(rate, 2));
    cells.push_back(row.first_token.empty() ? "" : seconds_text(spread(row.first_token).median));
    const double times = report.repeats_per_second(row);
    const BenchRoofline* most = report.roofline(setting);
    for (auto [amount, limit] : {std::pair(row.memory_bytes, report.bandwidth(setting)), std::pair(row.int8_operations, most ? most->reach.int8_operations : 0.0)}) {
      cells.push_back(amount > 0 ? fixed(times * amount / 1e9, 1) : "");
      cells.push_back(amount > 0 && limit > 0 ? share_text(times * amount / limit) : "");
    }
    out.rows.push_back(std::move(cells));
  }
  return out;
}

/// Whether the device told what operations took.
bool timed(const BenchRow& row) {
  return std::any_of(row.stages.begin(), row.stages.end(), [](const strata::StageProfile& stage) { return stage.seconds > 0; });
}

/// What the operations of one test take. The share is that of the limit that is nearer, memory or arithmetic.
TableText stages(const BenchReport& report, const BenchRow& row) {
  TableText out{{"operation", "format", ">calls", ">ms", ">of time", ">GB/s", ">GOP/s", ">of possible", "bound by"}, {}};
  const BenchSetting& setting = report.settings[row.setting];
  const BenchRoofline* most = report.roofline(setting);
  double rest = row.steps_seconds;
  for (const strata::StageProfile& s : row.stages) {
    if (s.seconds <= 0) continue;
    rest -= s.seconds;
    const double moved = s.memory_bytes + s.activation_bytes;
    std::vector<std::string> cells{s.operation, s.format, std::to_string(s.calls), fixed(1000 * s.seconds, 3), share_text(s.seconds / row.steps_seconds),
                                   fixed(moved / s.seconds / 1e9, 1), s.operations > 0 ? fixed(s.operations / s.seconds / 1e9, 1) : ""};
    if (most) {
      const double memory = s.memory_bytes / s.seconds / report.bandwidth(setting);
      const double arithmetic = s.operations / s.seconds / (s.integer ? most->reach.int8_operations : most->reach.f32_operations);
      cells.push_back(share_text(std::max(memory, arithmetic)));
      cells.emplace_back(memory >= arithmetic ? "memory" : s.integer ? "int8" : "f32");
    }
    out.rows.push_back(std::move(cells));
  }
  out.rows.push_back({"waiting", "", "", fixed(1000 * rest, 3), share_text(rest / row.steps_seconds), "", "", "", ""});
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

std::string stage_title(const BenchReport& report, const BenchRow& row) {
  std::string out = test_text(row) + " at depth " + depth_text(row);
  for (const Axis& axis : varying(report)) out += std::string(", ") + axis.name + " " + axis.text(report.settings[row.setting]);
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
    out.push_back("at best, measured right after: " + r.device + (r.isa.empty() ? "" : " " + r.isa) + " with " + std::to_string(r.threads) +
                  (r.threads == 1 ? " thread reads " : " threads reads ") + fixed(r.reach.read_small_pages / 1e9, 1) +
                  " GB/s from small pages, " + fixed(r.reach.read_huge_pages / 1e9, 1) + " GB/s from huge pages; int8 " +
                  fixed(r.reach.int8_operations / 1e9, 0) + " GOP/s, f32 " + fixed(r.reach.f32_operations / 1e9, 0) + " GOP/s");
  out.push_back("peak memory " + byte_text(report.peak_memory));
  if (std::any_of(report.rows.begin(), report.rows.end(), [](const BenchRow& row) { return !row.stages.empty() && !timed(row); }))
    out.push_back("--stages: not every device here can tell what its operations take");
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

/// What a report says, with `gap` between tables and the lines beside them.
template <class Print>
void print_report(const BenchReport& report, const Print& print, const char* gap) {
  std::printf("%s\n%s", headline(report).c_str(), gap);
  print(rates(report));
  const TableText summary = use_table(report);
  if (!summary.rows.empty()) {
    std::printf("\n");
    print(summary);
  }
  for (const BenchRow& row : report.rows) {
    if (!timed(row)) continue;
    std::printf("\n%s\n%s", stage_title(report, row).c_str(), gap);
    print(stages(report, row));
  }
  for (const std::string& note : notes(report, !summary.rows.empty())) std::printf("%s%s\n", gap, note.c_str());
}

/// A field of a comma-separated line (RFC 4180).
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

void print_table(const BenchReport& report) { print_report(report, print_terminal, ""); }

void print_markdown(const BenchReport& report) {
  print_report(report, [](const TableText& text) { print_markdown(text); }, "\n");
}

void print_csv(const BenchReport& report) {
  std::printf("model,quantisation,file_bytes,device,isa,threads,affinity,pages,kv_type,batch,sequences,test,tokens,depth,fill_percent,"
              "tok_per_s,min,max,ttft_s,gb_per_s,bandwidth_share,gop_per_s,int8_share\n");
  for (const BenchRow& row : report.rows) {
    const BenchSetting& s = report.settings[row.setting];
    std::string line = field(report.model) + "," + report.quantisation + "," + std::to_string(report.file_bytes);
    for (const Axis& axis : axes()) line += "," + field(axis.text(s));
    line += std::string(",") + name(row.kind) + "," + std::to_string(row.tokens) + "," + std::to_string(row.depth) + ",";
    if (row.fill > 0) line += std::to_string(row.fill);
    const Spread r = spread(row.rates);
    for (double rate : {r.median, r.low, r.high}) line += "," + fixed(rate, 3);
    line += "," + (row.first_token.empty() ? "" : fixed(spread(row.first_token).median, 5));
    const double times = report.repeats_per_second(row);
    const BenchRoofline* most = report.roofline(s);
    for (auto [amount, limit] : {std::pair(row.memory_bytes, report.bandwidth(s)), std::pair(row.int8_operations, most ? most->reach.int8_operations : 0.0)}) {
      line += "," + (amount > 0 ? fixed(times * amount / 1e9, 3) : "");
      line += "," + (amount > 0 && limit > 0 ? fixed(times * amount / limit, 4) : "");
    }
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace cli
