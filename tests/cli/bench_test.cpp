// Owns: tests of `strata bench` and of the scripts around it. Knows the built program and its JSON, no header of strata.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/program.h"

namespace fs = std::filesystem;
using json = nlohmann::json;
using program::bundled;
using program::call;
using program::check_error;
using program::Outcome;
using program::scratch;

namespace {

json bench(std::vector<std::string> words) {
  words.insert(words.begin(), {"bench", bundled, "--json"});
  Outcome o = call(words);
  INFO(o.err);
  REQUIRE(o.code == 0);
  return json::parse(o.out);
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

}  // namespace

TEST_CASE("bench names the option that is wrong") {
  check_error({"bench", bundled, "-d", "1,,2"}, 2, "--depth");
  check_error({"bench", bundled, "-p", "8,x"}, 2, "--prompt");
  check_error({"bench", bundled, "-n", "-1"}, 2, "--tokens");
  check_error({"bench", bundled, "--fill", "0"}, 2, "--fill");
  check_error({"bench", bundled, "--fill", "100"}, 2, "--fill");
  check_error({"bench", bundled, "--batch", "0"}, 2, "--batch");
  check_error({"bench", bundled, "--sequences", "0"}, 2, "--sequences");
  check_error({"bench", bundled, "--threads", "1,two"}, 2, "--threads");
  check_error({"bench", bundled, "--kv-type", "f16,f8"}, 2, "f8");
  check_error({"bench", bundled, "--pages", "small"}, 2, "--pages");
  check_error({"bench", bundled, "--isa", "abacus"}, 2, "--isa");
  check_error({"bench", bundled, "--json", "--csv"}, 2, "--csv");
  check_error({"bench", bundled, "-p", "0", "-n", "0"}, 2, "nothing to measure");
  check_error({"bench", bundled, "-d", "2147483647"}, 2, "--depth");
  check_error({"bench", bundled, "-d", "2113929215", "-n", "4"}, 2, "context");
  check_error({"bench", bundled, "--device", "abacus"}, 3, "abacus");
  Outcome o = call({"bench", bundled, "-p", "4", "-n", "0", "-r", "1", "--report", (scratch() / "no" / "folder").string()});
  CHECK(o.code == 3);
  CHECK(o.err.find("--report") != std::string::npos);
}

TEST_CASE("bench prints the shape of peer_bench.py") {
  json j = bench({"-p", "8", "-n", "4", "-d", "0,16", "-r", "3"});
  CHECK(j["engine"] == "strata");
  CHECK(j["bytes"] == fs::file_size(bundled));
  REQUIRE(j["rows"].size() == 2);
  CHECK(j["rows"][1]["depth"] == 16);
  for (const json& row : j["rows"])
    for (const char* kind : {"prefill", "decode"}) {
      const json& r = row[kind];
      CHECK(r["tokens"] == (kind == std::string("prefill") ? 8 : 4));
      CHECK(r["min"] > 0);
      CHECK(r["min"] <= r["median"]);
      CHECK(r["median"] <= r["max"]);
      REQUIRE(r["samples"].size() == 3);
      std::vector<double> samples = r["samples"];
      std::sort(samples.begin(), samples.end());
      CHECK(r["median"].get<double>() == Approx(samples[1]).margin(0.006));
    }
  CHECK(j["rows"][0]["decode"]["gb_per_s"] > 0);
  // The first token cannot come before the prompt has been read.
  CHECK(j["rows"][0]["prefill"]["ttft_s"].get<double>() >= 8 / j["rows"][0]["prefill"]["max"].get<double>() * 0.99);
  CHECK_FALSE(j["rows"][0].contains("fill"));
  CHECK(j["rows"][1]["fill"]["tokens"] == 16);
}

TEST_CASE("bench measures every combination of its lists") {
  json j = bench({"-p", "4,8", "-n", "2", "-d", "0,8", "-r", "1", "--threads", "1,2", "--kv-type", "f16,q8_0", "--batch", "4,512",
                  "--pages", "mmap"});
  std::set<std::string> seen;
  int prefills = 0;
  for (const json& row : j["rows"]) {
    seen.insert(row["threads"].dump() + row["kv_type"].dump() + row["batch"].dump() + row["depth"].dump());
    prefills += row.contains("prefill");
    CHECK(row["pages"] == "mmap");
  }
  CHECK(seen.size() == 16);
  CHECK(prefills == 32);
  json together = bench({"-p", "0", "-n", "4", "-r", "1", "--sequences", "1,3"});
  REQUIRE(together["rows"].size() == 2);
  CHECK(together["rows"][1]["sequences"] == 3);
  // Three texts share each read of a weight.
  CHECK(together["rows"][1]["decode"]["bytes_per_token"].get<double>() < together["rows"][0]["decode"]["bytes_per_token"].get<double>());
}

TEST_CASE("bench shows what users ask: peak, retention, comfortable context") {
  json j = bench({"-p", "0", "-n", "2", "-r", "1", "--fill", "25,75,95", "--ctx", "256"});
  REQUIRE(j["rows"].size() == 3);
  CHECK(j["rows"][1]["depth"] == 192);
  CHECK(j["rows"][1]["fill_percent"] == 75);
  REQUIRE(j["uses"].size() == 1);
  const json& use = j["uses"][0];
  CHECK(use["tok_per_s_at_75"] == j["rows"][1]["decode"]["median"]);
  CHECK(use["retention"].get<double>() == Approx(use["tok_per_s_at_75"].get<double>() / use["peak_tok_per_s"].get<double>()).epsilon(0.01));
  CHECK(use["ttft_s_at_75"] == j["rows"][1]["fill"]["ttft_s"]);
  CHECK(use["comfortable_context"] == 243);  // 95%: the tiny model reads it in less than 15 s
  CHECK(use["comfortable_beyond"] == true);
  // Where the fills do not reach 75% there is nothing to say.
  CHECK(bench({"-p", "0", "-n", "2", "-r", "1", "--fill", "25", "--ctx", "256"})["uses"].empty());
  const std::string text = call({"bench", bundled, "-p", "0", "-n", "2", "-r", "1", "--fill", "75", "--ctx", "256"}).out;
  CHECK(text.find("comfortable context") != std::string::npos);
  CHECK(text.find("192 (75%)") != std::string::npos);
}

TEST_CASE("bench prints tables for terminals, Markdown and spreadsheets") {
  const std::vector<std::string> base{"bench", bundled, "-p", "8", "-n", "2", "-d", "0,8", "-r", "2", "--threads", "1"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    Outcome o = call(more);
    CHECK(o.code == 0);
    return o.out;
  };
  CHECK(with({}).find("prefill 8") != std::string::npos);
  const auto markdown = lines(with({"--md"}));
  REQUIRE(markdown.size() > 4);
  CHECK(std::count(markdown[2].begin(), markdown[2].end(), '|') == std::count(markdown[3].begin(), markdown[3].end(), '|'));
  CHECK(markdown[4].rfind("| prefill 8 |", 0) == 0);
  const auto csv = lines(with({"--csv"}));
  REQUIRE(csv.size() == 6);  // a heading, two tests at depth 0, a fill and two tests at depth 8
  for (const std::string& line : csv) CHECK(std::count(line.begin(), line.end(), ',') == std::count(csv[0].begin(), csv[0].end(), ','));
  CHECK(csv[3].find(",fill,8,") != std::string::npos);
  const fs::path file = scratch() / "report.json";
  with({"--report", file.string()});
  json j = json::parse(strata::test::read_text(file.string()));
  CHECK(j["rows"].size() == 2);
  CHECK(j["machine"]["physical_cores"] >= 1);
  CHECK(j["build"]["compiler"].get<std::string>().size() > 3);
  CHECK(j["command"][1] == "bench");
  CHECK(j["rooflines"][0]["read_gb_per_s"]["small_pages"] > 0);
}

TEST_CASE("bench tells what was measured before Ctrl-C") {
  Outcome o = call({"bench", bundled, "-p", "4", "-n", "4096", "-r", "100", "--json"}, {}, "timeout --foreground --preserve-status -s INT 3");
  CHECK(o.code == 130);
  CHECK(o.err == "strata: interrupted\n");
  json j = json::parse(o.out);
  REQUIRE(j["rows"].size() == 1);
  CHECK(j["rows"][0].contains("prefill"));
  CHECK_FALSE(j["rows"][0].contains("decode"));
}

TEST_CASE("compare-peer measures pairs and fails below a ratio") {
  const std::string script = std::string(STRATA_SOURCE_DIR) + "/bench/compare-peer";
  const fs::path save = scratch() / "ratios.json";
  const std::vector<std::string> base{"--strata", STRATA_PROGRAM, "--peer-strata", STRATA_PROGRAM, "--model", bundled,
                                      "-p", "8", "-n", "0", "-d", "0,8", "-t", "1", "-r", "1", "--pairs", "3"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return program::call_program(script, more);
  };
  Outcome o = with({"--json", "--save", save.string()});
  INFO(o.err);
  REQUIRE(o.code == 0);
  json j = json::parse(o.out);
  CHECK(json::parse(strata::test::read_text(save.string())) == j);
  REQUIRE(j["rows"].size() == 2);
  CHECK(j["rows"][1]["test"] == "prefill 8 at depth 8");
  for (const json& row : j["rows"]) {
    std::vector<double> ratios = row["ratios"];
    REQUIRE(ratios.size() == 3);
    std::sort(ratios.begin(), ratios.end());
    CHECK(row["ratio"] == ratios[1]);
  }
  CHECK(with({"--fail-below", "0.000001"}).code == 0);
  Outcome low = with({"--fail-below", "1000000"});
  CHECK(low.code == 1);
  CHECK(low.err.find("prefill 8") != std::string::npos);
  // Held against recorded ratios.
  for (json& row : j["rows"]) row["ratio"] = 1e9;
  program::write_file(save, j.dump());
  CHECK(with({"--baseline", save.string(), "--fail-below", "0.9"}).code == 1);
  for (json& row : j["rows"]) row["ratio"] = 1e-9;
  program::write_file(save, j.dump());
  CHECK(with({"--baseline", save.string(), "--fail-below", "0.9"}).code == 0);
  CHECK(with({"--baseline", (scratch() / "none").string()}).code == 3);
  CHECK(program::call_program(script, {"--model", bundled}).code == 2);
  CHECK(program::call_program(script, {"--model", bundled, "--peer-strata", (scratch() / "none").string(), "--strata", STRATA_PROGRAM}).code == 3);
}
