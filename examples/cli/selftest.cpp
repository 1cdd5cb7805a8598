// Owns: `strata selftest`: a device's operations held against the reference, case by case.
#include <cstdio>

#include "examples/cli/checks.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/terminal.h"

namespace cli {

using strata::SelftestCase;

namespace {

const char* verdict(const SelftestCase& c) { return c.skipped ? "skipped" : c.passed ? "ok" : "FAILED"; }

void print_case(const SelftestCase& c) {
  std::printf("%-8s %-22s %-9s %-40s", verdict(c), c.op.c_str(), c.format.c_str(), c.shape.c_str());
  if (!c.skipped)
    std::printf(" nmse %s (bound %s)  max %s  %s us", scientific(c.nmse).c_str(), scientific(c.bound).c_str(),
                scientific(c.max_error).c_str(), fixed(c.microseconds, 1).c_str());
  std::printf("%s%s\n", c.message.empty() ? "" : "  ", c.message.c_str());
  std::fflush(stdout);
}

void print_json(const std::string& device, const std::vector<SelftestCase>& cases, int passed, int failed, int skipped) {
  JsonWriter json;
  json.begin_object().member("device", device).member("passed", passed).member("failed", failed);
  json.member("skipped", skipped).key("cases").begin_array();
  for (const SelftestCase& c : cases) {
    json.begin_object().member("op", c.op).member("format", c.format).member("shape", c.shape);
    json.member("passed", c.passed).member("skipped", c.skipped).member("nmse", c.nmse).member("bound", c.bound);
    json.member("max_error", c.max_error).member("microseconds", c.microseconds).member("message", c.message).end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", json.text().c_str());
}

}  // namespace

int run_selftest(const SelftestArguments& a) {
  std::string device = a.device;
  if (device == "auto") {
    const auto devices = strata::devices();
    if (devices.empty()) return report(exit_file, "this machine has no device");
    device = devices.front().id;
  }
  catch_interrupt();
  auto cases = strata::selftest(device, a.threads, a.isa, [&](const SelftestCase& c) {
    if (!a.json) print_case(c);
    return !interrupted();
  });
  if (!cases) return report(cases.error());
  int passed = 0, failed = 0, skipped = 0;
  for (const SelftestCase& c : *cases) ++(c.skipped ? skipped : c.passed ? passed : failed);
  if (a.json) print_json(device, *cases, passed, failed, skipped);
  else std::printf("%s: %d passed, %d failed, %d skipped\n", device.c_str(), passed, failed, skipped);
  if (interrupted()) return exit_interrupted;
  if (failed > 0) return exit_failed;
  return passed > 0 ? exit_ok : report(exit_failed, "no case ran on " + device);
}

}  // namespace cli
