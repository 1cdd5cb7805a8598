// Owns: tests of `strata quantize`, `imatrix`, `split` and `merge` from outside. Knows no header of strata.
#include <nlohmann/json.hpp>
#include <set>

#include "cli/program.h"

using namespace program;
namespace fs = std::filesystem;
using nlohmann::json;
using strata::test::read_text;

namespace {

/// An empty folder for one test.
fs::path fresh() {
  const fs::path path = scratch() / "rewrite";
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

std::set<std::string> names(const fs::path& folder) {
  std::set<std::string> out;
  for (const auto& entry : fs::directory_iterator(folder)) out.insert(entry.path().filename().string());
  return out;
}

json answer(const Outcome& outcome) {
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out);
}

/// A GGUF file of one F32 tensor of zeros that takes seconds to quantise and no room on the disk.
std::string large_model(const fs::path& folder) {
  std::string bytes = "GGUF";
  const auto put = [&bytes](auto number) { bytes.append(reinterpret_cast<const char*>(&number), sizeof number); };
  const auto text = [&](const std::string& word) {
    put(std::uint64_t{word.size()});
    bytes += word;
  };
  put(std::uint32_t{3});
  put(std::uint64_t{1});
  put(std::uint64_t{1});
  text("general.architecture");
  put(std::uint32_t{8});
  text("llama");
  text("output.weight");
  put(std::uint32_t{2});
  put(std::uint64_t{4096});
  put(std::uint64_t{1} << 17);
  put(std::uint32_t{0});
  put(std::uint64_t{0});
  bytes.resize((bytes.size() + 31) / 32 * 32);
  const fs::path path = folder / "large.gguf";
  write_file(path, bytes);
  fs::resize_file(path, bytes.size() + (std::uint64_t{2048} << 20));
  return path.string();
}

}  // namespace

TEST_CASE("quantize shows its plan") {
  const fs::path folder = fresh();
  const json plan = answer(call({"quantize", bundled, "Q8_0", "--allow-requantize", "--dry-run", "--json"}));
  CHECK(plan["out"].is_null());
  const json inspected = answer(call({"inspect", bundled, "--json"}));
  CHECK(plan["parameters"] == inspected["summary"]["parameters"]);
  CHECK(plan["bytes_before"] == inspected["summary"]["tensor_bytes"]);
  REQUIRE(plan["tensors"].size() == inspected["tensors"].size());
  std::uint64_t bytes = 0;
  for (std::size_t t = 0; t < plan["tensors"].size(); ++t) {
    const json& tensor = plan["tensors"][t];
    bytes += tensor["bytes_after"].get<std::uint64_t>();
    CHECK(tensor["name"] == inspected["tensors"][t]["name"]);
    CHECK(tensor["from"] == inspected["tensors"][t]["type"]);
    CHECK(tensor["to"] == (tensor["from"] == "F32" ? "F32" : "Q8_0"));
  }
  CHECK(plan["bytes_after"] == bytes);
  CHECK(plan["bits_per_weight"].get<double>() == Approx(8.0 * static_cast<double>(bytes) / plan["parameters"].get<double>()));
  const Outcome table = call({"quantize", bundled, "Q6_K", "--allow-requantize", "--dry-run"});
  CHECK(table.code == 0);
  CHECK(table.out.find("blk.0.attn_norm.weight") != std::string::npos);
  CHECK(table.out.find("bits a weight") != std::string::npos);
  CHECK(table.err.find("had been quantised before") != std::string::npos);
  CHECK(names(folder).empty());
}

TEST_CASE("quantize writes a model that runs") {
  const fs::path folder = fresh();
  const std::string out = (folder / "q5.gguf").string();
  const Outcome written = call({"quantize", bundled, out, "q5_k_m", "--allow-requantize", "--tensor-type", "attn_v=q8_0"});
  INFO(written.err);
  REQUIRE(written.code == 0);
  CHECK(written.out.find(out) != std::string::npos);
  CHECK(names(folder) == std::set<std::string>{"q5.gguf"});
  const json inspected = answer(call({"inspect", out, "--json"}));
  CHECK(inspected["metadata"]["general.file_type"]["value"] == 17);
  CHECK(inspected["summary"]["quantisation"] == "Q5_K");
  bool found = false;
  for (const json& tensor : inspected["tensors"])
    if (tensor["name"] == "blk.3.attn_v.weight") found = tensor["type"] == "Q8_0";
  CHECK(found);
  CHECK(call({"run", "-m", out, "-p", "Once upon a time", "-n", "4", "--temp", "0"}).code == 0);
  check_error({"quantize", bundled, out, "Q6_K", "--allow-requantize"}, 2, "--force overwrites it");
  CHECK(call({"quantize", bundled, out, "Q6_K", "--allow-requantize", "--force"}).code == 0);
}

TEST_CASE("quantize says what is wrong") {
  const fs::path folder = fresh();
  const std::string out = (folder / "out.gguf").string();
  check_error({"quantize", bundled, out}, 2, "give IN, OUT and TYPE");
  check_error({"quantize", bundled, out, "Q9"}, 2, "type \"Q9\" is not known");
  check_error({"quantize", bundled, out, "Q6_K"}, 2, "--allow-requantize");
  check_error({"quantize", bundled, out, "Q6_K", "--tensor-type", "attn_v"}, 2, "write PATTERN=TYPE");
  check_error({"quantize", bundled, out, "Q6_K", "--tensor-type", "attn_v=Q9"}, 2, "Q9");
  check_error({"quantize", bundled, out, "Q6_K", "--tensor-type", "attn_(v=Q8_0"}, 2, "regular expression");
  check_error({"quantize", (folder / "none").string(), out, "Q6_K"}, 3, "no such file");
  check_error({"quantize", bundled, out, "Q6_K", "--allow-requantize", "--imatrix", bundled}, 3, "it is no importance matrix");
  check_error({"quantize", bundled, (folder / "no" / "out.gguf").string(), "Q6_K", "--allow-requantize"}, 3, "no");
  check_error({"quantize", bundled, bundled, "Q6_K", "--force", "--allow-requantize"}, 2, "is the file that is read");
  CHECK(names(folder).empty());
}

TEST_CASE("a full disk and Ctrl-C leave nothing half-written") {
  const fs::path folder = fresh();
  const std::string out = (folder / "out.gguf").string();
  // Files may not grow beyond 1 MB: writing fails as on a full disk.
  const Outcome full = call({"quantize", bundled, out, "Q8_0", "--allow-requantize"}, "", "trap '' XFSZ; ulimit -f 1000;");
  CHECK(full.code == 3);
  CHECK(full.err.find("out.gguf: cannot write: ") != std::string::npos);
  CHECK(names(folder).empty());
  const Outcome split = call({"split", bundled, (folder / "part").string(), "--max-size", "3M"}, "", "trap '' XFSZ; ulimit -f 1000;");
  CHECK(split.code == 3);
  CHECK(names(folder).empty());

  const std::string large = large_model(folder);
  // In the foreground: else it sends the signal to the process and to its group, and a second one ends the program at once.
  const Outcome stopped = call({"quantize", large, out, "Q4_0", "--threads", "1"}, "", "timeout --foreground --preserve-status -s INT 0.4");
  CHECK(stopped.code == 130);
  CHECK(names(folder) == std::set<std::string>{"large.gguf"});
}

TEST_CASE("imatrix feeds quantize") {
  const fs::path folder = fresh();
  const std::string matrix = (folder / "imatrix.gguf").string(), out = (folder / "out.gguf").string(), text = (folder / "text").string();
  std::string words;
  for (int i = 0; i < 30; ++i) words += "Once upon a time there was a fox who lived near the river. ";
  write_file(text, words);
  const json made = answer(call({"imatrix", bundled, "-f", text, "-o", matrix, "--chunk", "64", "--chunks", "2", "--json"}));
  CHECK(made["chunks"] == 2);
  CHECK(made["matrices"].get<int>() > 40);
  check_error({"imatrix", bundled, "-f", text, "-o", matrix}, 2, "--force overwrites it");
  check_error({"imatrix", bundled, "-f", text, "-o", matrix, "--force", "--chunk", "4000"}, 2, "do not fill one chunk");
  const Outcome quantized = call({"quantize", bundled, out, "Q4_0", "--allow-requantize", "--imatrix", matrix});
  INFO(quantized.err);
  REQUIRE(quantized.code == 0);
  CHECK(quantized.err.find("the importance matrix says nothing about") != std::string::npos);
  const json metadata = answer(call({"inspect", out, "--json"}))["metadata"];
  CHECK(metadata["quantize.imatrix.file"]["value"] == matrix);
  CHECK(metadata["quantize.imatrix.dataset"]["value"] == text);
  CHECK(metadata["quantize.imatrix.chunks_count"]["value"] == 2);
}

TEST_CASE("perplexity compares a quantised model with what it was") {
  const fs::path folder = fresh();
  const std::string out = (folder / "out.gguf").string(), text = (folder / "text").string();
  std::string words;
  for (int i = 0; i < 20; ++i) words += "Once upon a time there was a fox who lived near the river. ";
  write_file(text, words);
  REQUIRE(call({"quantize", bundled, out, "Q2_K", "--allow-requantize"}).code == 0);
  const json alone = answer(call({"perplexity", out, text, "--ctx", "80", "--json"}));
  CHECK(!alone.contains("divergence"));
  const json against = answer(call({"perplexity", out, text, "--ctx", "80", "--json", "--against", bundled}));
  CHECK(against["perplexity"] == alone["perplexity"]);
  CHECK(against["divergence"].get<double>() > 0.001);
  CHECK(against["agreed"].get<double>() < 1.0);
  CHECK(against["agreed"].get<double>() > 0.5);
  const json same = answer(call({"perplexity", bundled, text, "--ctx", "80", "--json", "--against", bundled}));
  CHECK(same["divergence"] == 0.0);
  CHECK(same["difference"] == 0.0);
  CHECK(same["difference_error"] == 0.0);
  CHECK(same["agreed"] == 1.0);
  CHECK(call({"perplexity", bundled, text, "--ctx", "80", "--against", bundled}).out.find("100.00 % of the most likely tokens agree") != std::string::npos);
  check_error({"perplexity", bundled, text, "--ctx", "80", "--against", (folder / "none").string()}, 3, "no such file");
}

TEST_CASE("documents are read afresh, and their ends are predicted") {
  const fs::path folder = fresh();
  const std::string text = (folder / "text").string(), end = "<|endoftext|>";
  const std::string first = "Once upon a time, there was a fox.", second = "The sun was bright.";
  auto score = [&](const std::string& words, std::vector<std::string> more) {
    write_file(text, words);
    std::vector<std::string> arguments = {"perplexity", bundled, text, "--threads", "1", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return answer(call(arguments));
  };
  auto sum = [](const json& j) { return j["nll"].get<double>() * j["predictions"].get<double>(); };
  const json both = score(first + end + second + end, {"--documents", end});
  const json one = score(first + end, {"--documents", end}), two = score(second + end, {"--documents", end});
  CHECK(both["chunks"] == 2);
  CHECK(both["predictions"].get<int>() == one["predictions"].get<int>() + two["predictions"].get<int>());
  CHECK(std::fabs(sum(both) - sum(one) - sum(two)) < 1e-6 * sum(both));
  // Without its end a last document counts as far as it goes; a control token at an end is one prediction.
  const json open = score(first, {"--documents", end});
  CHECK(open["predictions"].get<int>() + 1 == one["predictions"].get<int>());
  // Cut by --ctx: the first token of each piece is not predicted.
  const json cut = score(first + end, {"--documents", end, "--ctx", "4"});
  CHECK(cut["chunks"].get<int>() == (one["predictions"].get<int>() + 1 + 3) / 4);
  write_file(text, end + end);  // nothing but ends, none of which is predicted
  check_error({"perplexity", bundled, text, "--documents", end}, 2, "no document");
}

TEST_CASE("the model card's perplexity") {
  auto stories = strata::test::shared("models/strata-tiny/stories_heldout.txt");
  if (!stories) return;
  const json card = answer(call({"perplexity", bundled, *stories, "--documents", "<|endoftext|>", "--threads", "1", "--json"}));
  CHECK(card["predictions"] == 51514);
  CHECK(std::fabs(card["perplexity"].get<double>() - 1.5449) < 0.0002);  // by llama.cpp
}

TEST_CASE("split and merge are opposites") {
  const fs::path folder = fresh();
  const std::string prefix = (folder / "part").string(), merged = (folder / "merged.gguf").string();
  const json plan = answer(call({"split", bundled, prefix, "--max-size", "2M", "--dry-run", "--json"}));
  CHECK(names(folder).empty());
  const json files = answer(call({"split", bundled, prefix, "--max-size", "2M", "--json"}));
  CHECK(files == plan);
  REQUIRE(files["files"].size() >= 3);
  CHECK(names(folder).size() == files["files"].size());
  for (const json& file : files["files"]) CHECK(file["tensor_bytes"].get<std::uint64_t>() <= 2000000);
  const std::string first = files["files"][0]["path"];
  CHECK(call({"run", "-m", first, "-p", "Once", "-n", "2", "--temp", "0"}).out == call({"run", "-m", bundled, "-p", "Once", "-n", "2", "--temp", "0"}).out);
  CHECK(call({"merge", first, merged}).code == 0);
  CHECK((read_text(merged) == read_text(bundled)));
  check_error({"merge", first, merged}, 2, "--force overwrites it");
  check_error({"split", bundled, prefix, "--max-size", "2M"}, 2, "--force overwrites it");
  check_error({"split", bundled, prefix}, 2, "no limit");
  check_error({"split", bundled, prefix, "--max-size", "many"}, 2);
  check_error({"merge", files["files"][1]["path"].get<std::string>(), merged, "--force"}, 2, "open ");
  fs::remove(files["files"][1]["path"].get<std::string>());
  check_error({"merge", first, merged, "--force"}, 3, "no such file");
}
