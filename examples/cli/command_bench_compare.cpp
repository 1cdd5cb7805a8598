// Owns: `strata bench-compare`: two reports of `strata bench` side by side, and which differences are more than noise.
// Knows the JSON of reports.
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/commands.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/options.h"
#include "examples/cli/statistics.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct CompareArguments {
  std::string before, after;
  double alpha = 0.05;
  double fail_above = -1;  ///< percent; negative: never
  bool json = false;
};

/// Samples of one test, by what was tested.
struct ReportFile {
  std::string model;
  std::vector<std::string> order;
  std::map<std::string, std::vector<double>> samples;
};

struct ComparedRow {
  std::string test;
  double before = 0, after = 0, ratio = 0, p = 1;
  bool differs = false;  ///< significantly
};

/// "decode 128 at depth 512, threads 2, ..."; the settings make tests of two reports the same or not.
std::string test_name(const nlohmann::json& row, const std::string& kind) {
  std::string out = kind + " " + std::to_string(row.at(kind).at("tokens").get<int>());
  if (kind != "fill" && row.at("depth") != 0) out += " at depth " + std::to_string(row.at("depth").get<int>());
  for (const char* axis : {"device", "isa", "threads", "affinity", "pages", "kv_type", "batch", "sequences"}) {
    const auto value = row.value(axis, nlohmann::json(""));
    if (value == "" || value == "auto") continue;
    out += std::string(", ") + axis + " " + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return out;
}

Result<ReportFile> read_report(const std::string& path) {
  auto text = read_input(path);
  if (!text) return text.error();
  ReportFile out;
  try {
    const nlohmann::json report = nlohmann::json::parse(*text);
    out.model = report.at("model").get<std::string>();
    for (const auto& row : report.at("rows"))
      for (const char* kind : {"fill", "prefill", "decode"}) {
        if (!row.contains(kind)) continue;
        const std::string test = test_name(row, kind);
        if (!out.samples.contains(test)) out.order.push_back(test);
        for (const auto& sample : row.at(kind).at("samples")) out.samples[test].push_back(sample.get<double>());
      }
  } catch (const nlohmann::json::exception&) {
    return Error{ErrorCode::bad_file, path + ": is no report of strata bench; make one with --report"};
  }
  return out;
}

/// What all tests have in common is left out of their names: ", device cpu, threads 2".
std::string common_tail(const std::vector<ComparedRow>& rows) {
  auto tail = [](const std::string& test) { return test.substr(std::min(test.find(", "), test.size())); };
  for (const ComparedRow& row : rows)
    if (tail(row.test) != tail(rows.front().test)) return "";
  return rows.empty() ? "" : tail(rows.front().test);
}

std::vector<ComparedRow> compare(const ReportFile& before, const ReportFile& after, double alpha) {
  std::vector<ComparedRow> out;
  for (const std::string& test : before.order) {
    auto other = after.samples.find(test);
    if (other == after.samples.end()) continue;
    const std::vector<double>& samples = before.samples.at(test);
    ComparedRow row;
    row.test = test;
    row.before = spread(samples).median;
    row.after = spread(other->second).median;
    row.ratio = row.before > 0 ? row.after / row.before : 0;
    row.p = mann_whitney(samples, other->second);
    row.differs = row.p < alpha;
    out.push_back(row);
  }
  return out;
}

const char* verdict(const ComparedRow& row) { return !row.differs ? "" : row.ratio < 1 ? "slower" : "faster"; }

void print_json(const ReportFile& before, const ReportFile& after, const std::vector<ComparedRow>& rows) {
  JsonWriter json;
  json.begin_object().key("models").begin_array().value(before.model).value(after.model).end_array().key("rows").begin_array();
  for (const ComparedRow& row : rows) {
    json.begin_object().member("test", row.test).member("before", round2(row.before)).member("after", round2(row.after));
    json.member("ratio", row.ratio).member("p", row.p).member("verdict", verdict(row)).end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", json.text().c_str());
}

void print_rows(const ReportFile& before, const ReportFile& after, const std::vector<ComparedRow>& rows) {
  const std::string tail = common_tail(rows);
  std::printf("%s beside %s%s\n", before.model.c_str(), after.model.c_str(), tail.c_str());
  Table table({"test", ">before", ">after", ">ratio", ">p", ""});
  for (const ComparedRow& row : rows)
    table.row({row.test.substr(0, row.test.size() - tail.size()), fixed(row.before, 2), fixed(row.after, 2), fixed(row.ratio, 3),
               fixed(row.p, 3), verdict(row)});
  table.print();
}

int run_compare(const CompareArguments& a) {
  auto before = read_report(a.before);
  if (!before) return report(before.error());
  auto after = read_report(a.after);
  if (!after) return report(after.error());
  const std::vector<ComparedRow> rows = compare(*before, *after, a.alpha);
  if (rows.empty()) return report(exit_file, a.before + " and " + a.after + " have no test in common");
  if (a.json) print_json(*before, *after, rows);
  else print_rows(*before, *after, rows);
  if (a.fail_above < 0) return exit_ok;
  int code = exit_ok;
  for (const ComparedRow& row : rows)
    if (row.differs && row.ratio < 1 - a.fail_above / 100)
      code = report(exit_failed, row.test + ": " + fixed(100 * (1 - row.ratio), 1) + "% slower");
  return code;
}

}  // namespace

void add_bench_compare(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("bench-compare", "compare two reports of bench");
  auto a = std::make_shared<CompareArguments>();
  command->add_option("BEFORE", a->before, "a file that bench --report wrote")->required();
  command->add_option("AFTER", a->after, "another, with the same tests")->required();
  command->add_option("--alpha", a->alpha, "a difference counts where chance makes it seldomer than this")
      ->check(CLI::Range(0.0, 1.0).description(""))->capture_default_str();
  command->add_option("--fail-above", a->fail_above, "exit code 1 where a test got slower by more than so many percent, and not by chance")
      ->check(CLI::Range(0.0, 100.0).description(""));
  command->add_flag("--json", a->json, "print one JSON object");
  command->footer("The ratio is that of the medians, after over before. p: how likely repeats of equal programs lie apart so far\n"
                  "(Mann-Whitney U test, two-sided); with 3 repeats each it is never below 0.1, with 5 down to 0.008. It tells noise\n"
                  "between repeats from differences, not two programs from two states of a machine: for that measure in\n"
                  "turns, with bench/compare-peer.");
  command->callback([a, &code] { code = run_compare(*a); });
}

}  // namespace cli
