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
  struct Wrong {
    std::vector<std::string> words;
    int code;
    const char* named;
  };
  for (auto [words, code, named] :
       {Wrong{{"-d", "1,,2"}, 2, "--depth"}, Wrong{{"-p", "8,x"}, 2, "--prompt"}, Wrong{{"-n", "-1"}, 2, "--tokens"},
        Wrong{{"--fill", "0"}, 2, "--fill"}, Wrong{{"--fill", "100"}, 2, "--fill"}, Wrong{{"--batch", "0"}, 2, "--batch"},
        Wrong{{"--sequences", "0"}, 2, "--sequences"}, Wrong{{"--threads", "1,two"}, 2, "--threads"},
        Wrong{{"--kv-type", "f16,f8"}, 2, "f8"}, Wrong{{"--pages", "small"}, 2, "--pages"}, Wrong{{"--affinity", "1"}, 2, "--affinity"}, Wrong{{"--isa", "abacus"}, 2, "--isa"},
        Wrong{{"--json", "--csv"}, 2, "--csv"}, Wrong{{"-p", "0", "-n", "0"}, 2, "nothing to measure"},
        Wrong{{"-d", "2147483647"}, 2, "--depth"}, Wrong{{"-d", "2113929215", "-n", "4"}, 2, "context"},
        Wrong{{"--device", "abacus"}, 3, "abacus"},
        Wrong{{"-p", "4", "-n", "0", "-r", "1", "--report", (scratch() / "no" / "folder").string()}, 3, "--report"}}) {
    words.insert(words.begin(), {"bench", bundled});
    check_error(words, code, named);
  }
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

TEST_CASE("bench shows what each kind of operation takes") {
  const std::vector<std::string> base{"-p", "16", "-n", "8", "-r", "2", "--threads", "1", "--stages"};
  json j = bench(base);
  const json& decode = j["rows"][0]["decode"];
  double seconds = 0, bytes = 0;
  std::set<std::string> operations;
  for (const json& stage : decode["stages"]) {
    seconds += stage["seconds"].get<double>();
    bytes += stage["memory_bytes"].get<double>();
    operations.insert(stage["operation"]);
  }
  CHECK(operations.contains("expert_linear"));
  CHECK(operations.contains("delta_net"));
  // The stages are within the steps, and those within the slower repeat.
  CHECK(seconds <= decode["steps_seconds"].get<double>());
  CHECK(decode["steps_seconds"].get<double>() <= 8 / decode["min"].get<double>());
  CHECK(bytes == Approx(8 * decode["bytes_per_token"].get<double>()));
  CHECK(decode["int8_share"] > 0);
  CHECK(decode["bandwidth_share"] > 0);
  CHECK_FALSE(bench({"-p", "0", "-n", "4", "-r", "1"})["rows"][0]["decode"].contains("stages"));
  std::vector<std::string> words{"bench", bundled};
  words.insert(words.end(), base.begin(), base.end());
  const std::string text = call(words).out;
  CHECK(text.find("prefill 16 at depth 0") != std::string::npos);
  CHECK(text.find("bound by") != std::string::npos);
  // ref cannot tell.
  const std::string untimed = call({"bench", bundled, "-p", "2", "-n", "0", "-r", "1", "--device", "ref", "--stages"}).out;
  CHECK(untimed.find("bound by") == std::string::npos);
  CHECK(untimed.find("--stages: not every device") != std::string::npos);
}

namespace {

/// A report of one test, "decode 8".
std::string report_of(const std::string& file, const std::vector<double>& samples, int depth = 0) {
  json row{{"depth", depth}, {"device", "cpu"}, {"isa", ""}, {"threads", 1}, {"kv_type", "f16"}, {"pages", "huge"}, {"batch", 512}, {"sequences", 1}};
  row["decode"] = {{"tokens", 8}, {"samples", samples}};
  const fs::path path = scratch() / file;
  program::write_file(path, json{{"model", "m.gguf"}, {"rows", {row}}}.dump());
  return path.string();
}

}  // namespace

TEST_CASE("bench-compare tells noise from differences") {
  auto compare = [](const std::vector<double>& before, const std::vector<double>& after, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"bench-compare", report_of("before.json", before), report_of("after.json", after), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return call(words);
  };
  auto p = [&](const std::vector<double>& before, const std::vector<double>& after) {
    Outcome o = compare(before, after);
    REQUIRE(o.code == 0);
    return json::parse(o.out)["rows"][0]["p"].get<double>();
  };
  // Exact values of the test, by counting orders: 2 / 20, 2 / 252, 48 / 70, and 1 where the middles are the same.
  CHECK(p({1, 2, 3}, {4, 5, 6}) == Approx(0.1));
  CHECK(p({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}) == Approx(2.0 / 252));
  CHECK(p({1, 3, 5, 7}, {2, 4, 6, 8}) == Approx(48.0 / 70));
  CHECK(p({1, 4}, {2, 3}) == Approx(1));
  CHECK(p({1}, {2}) == Approx(1));
  // Ties: u = 1, mean 12.5, variance 25 / 12 (11 - (24 + 6) / 90), so z = 11 / 4.714 = 2.333.
  CHECK(p({1, 2, 3, 4, 4}, {4, 5, 6, 7, 7}) == Approx(0.0196).margin(0.0001));
  CHECK(p({5, 5, 5}, {5, 5, 5}) == Approx(1));

  Outcome o = compare({10, 11, 12, 13, 14}, {5, 6, 7, 8, 9});
  json row = json::parse(o.out)["rows"][0];
  CHECK(row["verdict"] == "slower");
  CHECK(row["ratio"].get<double>() == Approx(7.0 / 12));
  CHECK(json::parse(compare({5, 6, 7, 8, 9}, {10, 11, 12, 13, 14}).out)["rows"][0]["verdict"] == "faster");
  CHECK(json::parse(compare({10, 11, 12}, {5, 6, 7}).out)["rows"][0]["verdict"] == "");  // too few to tell

  Outcome failed = compare({10, 11, 12, 13, 14}, {5, 6, 7, 8, 9}, {"--fail-above", "10"});
  CHECK(failed.code == 1);
  CHECK(failed.err.find("decode 8, device cpu") != std::string::npos);
  CHECK(compare({10, 11, 12, 13, 14}, {5, 6, 7, 8, 9}, {"--fail-above", "50"}).code == 0);
  CHECK(compare({10, 11, 12}, {5, 6, 7}, {"--fail-above", "10"}).code == 0);
  CHECK(compare({5, 6, 7, 8, 9}, {10, 11, 12, 13, 14}, {"--fail-above", "10"}).code == 0);

  const std::string good = report_of("good.json", {1, 2});
  program::write_file(scratch() / "bad.json", "{\"model\": 3}");
  check_error({"bench-compare", good, (scratch() / "bad.json").string()}, 3, "bad.json");
  check_error({"bench-compare", good, (scratch() / "none.json").string()}, 3, "none.json");
  check_error({"bench-compare", good, report_of("deep.json", {1, 2}, 64)}, 3, "no test in common");
  check_error({"bench-compare", good}, 2, "AFTER");
  check_error({"bench-compare", good, good, "--alpha", "2"}, 2, "--alpha");
}

TEST_CASE("a report compares with itself") {
  const std::string file = (scratch() / "self.json").string();
  REQUIRE(call({"bench", bundled, "-p", "8", "-n", "4", "-d", "0,8", "-r", "3", "--report", file}).code == 0);
  Outcome o = call({"bench-compare", file, file, "--fail-above", "0"});
  CHECK(o.code == 0);
  CHECK(lines(o.out).size() == 7);  // a line, a heading, five tests
  CHECK(o.out.find("decode 4 at depth 8") != std::string::npos);
  CHECK(o.out.find("1.000") != std::string::npos);
  CHECK(o.out.find("slower") == std::string::npos);
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
  CHECK(with({"--under", "env", "--fail-below", "0.000001"}).code == 0);
  CHECK(with({"--under", (scratch() / "none").string()}).code == 3);
  Outcome low = with({"--fail-below", "1000000"});
  CHECK(low.code == 1);
  CHECK(low.err.find("measuring again") != std::string::npos);
  CHECK(low.err.find("prefill 8") != std::string::npos);
  // Held against recorded ratios: low is what lies below in the median and at best.
  auto recorded = [&](double ratio, double best) {
    for (json& row : j["rows"]) row["ratio"] = ratio, row["best"] = best;
    program::write_file(save, j.dump());
    return with({"--baseline", save.string(), "--fail-below", "0.9"}).code;
  };
  CHECK(recorded(1e9, 1e9) == 1);
  CHECK(recorded(1e9, 1e-9) == 0);
  CHECK(recorded(1e-9, 1e9) == 0);
  for (json& row : j["rows"]) row.erase("best");
  program::write_file(save, j.dump());
  CHECK(with({"--baseline", save.string()}).code == 3);
  CHECK(with({"--baseline", (scratch() / "none").string()}).code == 3);
  CHECK(program::call_program(script, {"--model", bundled}).code == 2);
  CHECK(program::call_program(script, {"--model", bundled, "--peer-strata", (scratch() / "none").string(), "--strata", STRATA_PROGRAM}).code == 3);
}

TEST_CASE("plot-benchmarks draws reports") {
  const std::string script = std::string(STRATA_SOURCE_DIR) + "/scripts/plot-benchmarks";
  const fs::path out = scratch() / "plots";
  fs::create_directory(out);
  const std::string report = (scratch() / "plotted.json").string();
  REQUIRE(call({"bench", bundled, "-p", "8", "-n", "2", "-r", "1", "--fill", "25,75", "--ctx", "128", "--report", report}).code == 0);
  Outcome o = program::call_program(script, {"--out", out.string(), report});
  INFO(o.err);
  REQUIRE(o.code == 0);
  for (const char* name : {"decode.svg", "ttft.svg", "roofline.svg"}) {
    INFO(name);
    const std::string svg = strata::test::read_text((out / name).string());
    CHECK(svg.rfind("<svg ", 0) == 0);
    CHECK(svg.find("</svg>") != std::string::npos);
    CHECK(svg.find("strata-tiny") != std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
  }
  CHECK(program::call_program(script, {"--out", out.string(), (scratch() / "in").string()}).code == 1);
  CHECK(program::call_program(script, {"--out", (scratch() / "none").string(), report}).code == 1);
}

TEST_CASE("tables writes a page, reports and plots") {
  const std::string script = std::string(STRATA_SOURCE_DIR) + "/bench/tables";
  const fs::path out = scratch() / "tables";
  fs::create_directory(out);
  Outcome o = program::call_program(script, {bundled, "--strata", STRATA_PROGRAM, "--out", out.string(), "--ctx", "128", "--fill", "25,75",
                                             "-p", "16", "-n", "4", "-r", "1"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const std::string page = strata::test::read_text((out / "models.md").string());
  CHECK(page.find("| strata-tiny-q4_k_m | 6 MB |") != std::string::npos);
  CHECK(page.find("### strata-tiny-q4_k_m, decode of 4 tokens") != std::string::npos);
  CHECK(page.find("| waiting |") != std::string::npos);
  CHECK(json::parse(strata::test::read_text((out / "strata-tiny-q4_k_m.json").string()))["uses"].size() == 1);
  for (const char* name : {"decode.svg", "ttft.svg", "roofline.svg"}) CHECK(fs::exists(out / name));
  CHECK(program::call_program(script, {"no-shape:Q8_0", "--strata", STRATA_PROGRAM, "--out", out.string(), "--work", out.string()}).code == 1);
}

TEST_CASE("the check for regressions refuses what it cannot do") {
  const std::string script = std::string(STRATA_SOURCE_DIR) + "/bench/regression";
  CHECK(program::call_program(script, {"--help"}).out.find("--baseline") != std::string::npos);
  Outcome o = program::call_program(script, {"--fly"});
  CHECK(o.code == 2);
  CHECK(o.err.find("--fly") != std::string::npos);
  CHECK(program::call_program(script, {"--pairs"}).code == 2);
  Outcome peer = program::call_program(script, {"--peer-bench", script, "--peer-lib", "/", "--ratios", (scratch() / "none").string()});
  CHECK(peer.code == 2);
  CHECK(peer.err.find("--record") != std::string::npos);
  CHECK(program::call_program(script, {"--record"}).code == 2);
  Outcome none = program::call_program(script, {"--baseline", "no-such-commit"});  // before it builds anything
  CHECK(none.code == 2);
  CHECK(none.err.find("no-such-commit") != std::string::npos);
}
