// Owns: the report of `strata bench` as JSON: machine, build, settings, and every row with every sample. Knows POSIX's
// name of the system.
#include <sys/utsname.h>

#include <cmath>

#include "examples/cli/bench.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/statistics.h"
#include "examples/cli/terminal.h"

namespace cli {

namespace {

double round4(double value) { return std::round(value * 1e4) / 1e4; }
double gigabytes(double bytes_per_second) { return round2(bytes_per_second / 1e9); }

void write_machine(JsonWriter& json) {
  json.key("machine").begin_object();
  utsname system{};
  if (uname(&system) == 0) json.member("system", std::string(system.sysname) + " " + system.release + " " + system.machine);
  json.member("physical_cores", strata::physical_cores()).key("instruction_sets").begin_array();
  for (const std::string& set : strata::cpu_instruction_sets()) json.value(set);
  json.end_array().key("devices").begin_array();
  for (const strata::DeviceInfo& device : strata::devices()) {
    json.begin_object().member("id", device.id).member("description", device.description);
    json.member("memory_total", device.memory_total).member("memory_free", device.memory_free).end_object();
  }
  json.end_array().end_object();
}

void write_build(JsonWriter& json) {
  json.key("build").begin_object().member("version", strata::version());
#if defined(__clang__)
  json.member("compiler", "clang " __clang_version__);
#else
  json.member("compiler", "gcc " __VERSION__);
#endif
  json.member("flags", STRATA_BUILD_FLAGS).end_object();
}

void write_setting(JsonWriter& json, const BenchSetting& s) {
  json.member("device", s.device).member("isa", s.isa).member("threads", s.threads).member("kv_type", s.kv_type);
  json.member("affinity", s.affinity).member("pages", s.pages).member("batch", s.batch).member("sequences", s.sequences);
}

void write_samples(JsonWriter& json, const std::vector<double>& samples) {
  json.begin_array();
  for (double sample : samples) json.value(sample);
  json.end_array();
}

void write_stages(JsonWriter& json, const BenchRow& row) {
  json.member("steps_seconds", row.steps_seconds).key("stages").begin_array();
  for (const strata::StageProfile& s : row.stages) {
    json.begin_object().member("operation", s.operation).member("format", s.format).member("calls", s.calls).member("seconds", s.seconds);
    json.member("memory_bytes", s.memory_bytes).member("activation_bytes", s.activation_bytes).member("operations", s.operations);
    json.member("integer", s.integer).end_object();
  }
  json.end_array();
}

void write_test(JsonWriter& json, const BenchReport& report, const BenchRow& row) {
  const BenchSetting& setting = report.settings[row.setting];
  const Spread r = spread(row.rates);
  json.key(name(row.kind)).begin_object().member("tokens", row.tokens);
  json.member("median", round2(r.median)).member("min", round2(r.low)).member("max", round2(r.high));
  json.key("samples");
  write_samples(json, row.rates);
  if (!row.first_token.empty()) {
    json.member("ttft_s", spread(row.first_token).median).key("ttft_samples");
    write_samples(json, row.first_token);
  }
  const double times = report.repeats_per_second(row);
  const BenchRoofline* most = report.roofline(setting);
  if (row.memory_bytes > 0) {
    json.member("bytes_per_token", row.memory_bytes / row.tokens / setting.sequences).member("gb_per_s", gigabytes(times * row.memory_bytes));
    if (const double limit = report.bandwidth(setting); limit > 0) json.member("bandwidth_share", round4(times * row.memory_bytes / limit));
  }
  if (row.int8_operations > 0) {
    json.member("int8_gop_per_s", gigabytes(times * row.int8_operations));
    if (most) json.member("int8_share", round4(times * row.int8_operations / most->reach.int8_operations));
  }
  if (!row.stages.empty()) write_stages(json, row);
  json.end_object();
}

/// Tests of one setting and depth share a row, each kind once, as in the output of llama.cpp's measuring scripts.
void write_rows(JsonWriter& json, const BenchReport& report) {
  json.key("rows").begin_array();
  for (std::size_t i = 0; i < report.rows.size();) {
    const BenchRow& first = report.rows[i];
    const int depth = first.kind == BenchKind::fill ? first.tokens : first.depth;
    json.begin_object().member("depth", depth);
    if (first.fill > 0) json.member("fill_percent", first.fill);
    write_setting(json, report.settings[first.setting]);
    bool held[3] = {};
    for (; i < report.rows.size(); ++i) {
      const BenchRow& row = report.rows[i];
      bool& here = held[static_cast<int>(row.kind)];
      if (here || row.setting != first.setting || (row.kind == BenchKind::fill ? row.tokens : row.depth) != depth) break;
      here = true;
      write_test(json, report, row);
    }
    json.end_object();
  }
  json.end_array();
}

void write_uses(JsonWriter& json, const BenchReport& report) {
  json.key("uses").begin_array();
  for (const BenchUse& use : uses(report)) {
    json.begin_object();
    write_setting(json, report.settings[use.setting]);
    json.member("peak_tok_per_s", round2(use.peak)).member("tok_per_s_at_75", round2(use.at_75)).member("retention", use.retention);
    json.member("ttft_s_at_75", use.first_token_75).member("comfortable_context", use.comfortable);
    json.member("comfortable_beyond", use.comfortable_beyond).end_object();
  }
  json.end_array();
}

}  // namespace

std::string to_json(const BenchReport& report) {
  JsonWriter json;
  json.begin_object().member("engine", "strata").member("version", strata::version());
  json.member("model", report.model).member("bytes", report.file_bytes).member("architecture", report.architecture);
  json.member("quantisation", report.quantisation).member("parameters", report.parameters);
  json.member("context", report.context).member("repeats", report.repeats).member("peak_memory", report.peak_memory);
  json.key("command").begin_array();
  for (const std::string& word : report.command) json.value(word);
  json.end_array();
  write_machine(json);
  write_build(json);
  json.key("rooflines").begin_array();
  for (const BenchRoofline& r : report.rooflines) {
    json.begin_object().member("device", r.device).member("isa", r.isa).member("threads", r.threads);
    json.key("read_gb_per_s").begin_object().member("small_pages", gigabytes(r.reach.read_small_pages));
    json.member("huge_pages", gigabytes(r.reach.read_huge_pages)).end_object();
    json.member("int8_gop_per_s", gigabytes(r.reach.int8_operations)).member("f32_gop_per_s", gigabytes(r.reach.f32_operations)).end_object();
  }
  json.end_array();
  write_rows(json, report);
  write_uses(json, report);
  json.end_object();
  return json.text();
}

}  // namespace cli
