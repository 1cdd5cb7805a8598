// Owns: tests of the program's sessions from outside: files to go on from, shifting, adapters, embeddings. Knows no header
// of strata.
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "cli/program.h"

using namespace program;
using namespace strata::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// A LoRA adapter of the bundled model that adds a constant product to one matrix.
std::string adapter_bytes(const std::string& tensor, std::uint64_t inputs, std::uint64_t outputs) {
  std::string out = "GGUF";
  auto number = [&out](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  auto text = [&](const std::string& s) {
    number(std::uint64_t{s.size()});
    out += s;
  };
  number(std::uint32_t{3});
  number(std::uint64_t{2});
  number(std::uint64_t{4});
  for (auto [key, value] : {std::pair("general.architecture", "qwen35moe"), {"general.type", "adapter"}, {"adapter.type", "lora"}}) {
    text(key);
    number(std::uint32_t{8});
    text(value);
  }
  text("adapter.lora.alpha");
  number(std::uint32_t{6});
  number(1.0f);
  std::uint64_t offset = 0;
  for (auto [name, rows, columns] : {std::tuple(tensor + ".lora_a", inputs, std::uint64_t{1}), {tensor + ".lora_b", std::uint64_t{1}, outputs}}) {
    text(name);
    number(std::uint32_t{2});
    number(rows);
    number(columns);
    number(std::uint32_t{0});
    number(offset);
    offset += (rows * columns * 4 + 31) / 32 * 32;
  }
  out.resize((out.size() + 31) / 32 * 32);
  for (std::uint64_t i = 0; i < inputs; ++i) number(0.3f * static_cast<float>(std::sin(double(i))));
  out.resize((out.size() + 31) / 32 * 32);
  for (std::uint64_t i = 0; i < outputs; ++i) number(0.3f * static_cast<float>(std::cos(double(i))));
  out.resize((out.size() + 31) / 32 * 32);
  return out;
}

}  // namespace

TEST_CASE("run goes on where a saved session ended") {
  const std::string file = (scratch() / "story.session").string();
  const std::vector<std::string> start{"run", bundled, "-p", "Once upon a time", "--temp", "0", "--print-tokens"};
  auto with = [](std::vector<std::string> words, std::initializer_list<std::string> more) {
    words.insert(words.end(), more);
    return words;
  };
  Outcome whole = call(with(start, {"-n", "40"}));
  REQUIRE(whole.code == 0);
  Outcome first = call(with(start, {"-n", "15", "--session", file}));
  REQUIRE(first.code == 0);
  CHECK(fs::exists(file));
  Outcome second = call({"run", bundled, "--session", file, "-n", "25", "--temp", "0", "--print-tokens"});
  INFO(second.err);
  REQUIRE(second.code == 0);
  std::string both = first.out.substr(0, first.out.find('\n')) + "," + second.out;
  CHECK(both == whole.out);
  // The same prompt again reads nothing anew, and says the same.
  Outcome again = call(with(start, {"-n", "40", "--session", file}));
  CHECK(again.out == whole.out);

  write_file(file, "nonsense");
  check_error(with(start, {"--session", file}), 3, "too few");
  CHECK(read_text(file) == "nonsense");
  check_error({"run", bundled, "--session", (scratch() / "none.session").string()}, 2, "no prompt");
}

TEST_CASE("a context that cannot shift is said at once") {
  check_error({"run", "-p", "a", "--context-shift"}, 3, "recurrent");
}

TEST_CASE("a context that can shift lets a text go on") {
  auto path = shared("models/stories260k/stories260k-f32.gguf");
  if (!path) return;
  Outcome o = call({"run", *path, "-p", "Once upon a time", "-n", "120", "--ctx", "48", "--context-shift", "--ignore-eos", "--temp", "0", "--json"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(json::parse(o.out)["tokens"].size() == 120);
  Outcome chat = call({"run", *path, "-p", "Once upon a time", "-n", "120", "--ctx", "48", "--ignore-eos"});
  CHECK(chat.code == 4);
}

TEST_CASE("adapters change the text, scaled by 0 they do not") {
  const std::string file = (scratch() / "style.gguf").string();
  write_file(file, adapter_bytes("blk.3.attn_output.weight", 256, 256));
  const std::vector<std::string> run{"run", bundled, "-p", "Once upon a time", "-n", "20", "--temp", "0"};
  auto text = [&](std::initializer_list<std::string> more) {
    auto words = run;
    words.insert(words.end(), more);
    Outcome o = call(words);
    INFO(o.err);
    CHECK(o.code == 0);
    return o.out;
  };
  const std::string plain = text({}), changed = text({"--lora", file});
  CHECK(changed != plain);
  CHECK(text({"--lora-scaled", file + "=1"}) == changed);
  CHECK(text({"--lora-scaled", file + ":1.0"}) == changed);
  CHECK(text({"--lora-scaled", file + "=0"}) == plain);
  check_error({"run", "-p", "a", "--lora-scaled", file}, 2, "FILE=SCALE");
  check_error({"run", "-p", "a", "--lora", "/nonexistent"}, 3, "/nonexistent");
  check_error({"run", "-p", "a", "--lora", bundled}, 3, "general.type");
  write_file(file, adapter_bytes("blk.3.attn_output.weight", 128, 256));
  check_error({"run", "-p", "a", "--lora", file}, 3, "do not fit");
}

TEST_CASE("embed prints a vector for each text") {
  Outcome o = call({"embed", bundled, "-p", "A fox", "-p", "A fox", "-f", "-", "--json", "--similarity"}, "The sea was calm.\n\nA dog\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto out = json::parse(o.out);
  CHECK(out["pooling"] == "mean");
  REQUIRE(out["embeddings"].size() == 4);
  CHECK(out["embeddings"][2]["text"] == "The sea was calm.");
  const auto vector = out["embeddings"][0]["embedding"].get<std::vector<double>>();
  CHECK(vector.size() == 256);
  double length = 0;
  for (double x : vector) length += x * x;
  CHECK(length == Approx(1.0).margin(1e-5));
  CHECK(out["embeddings"][1]["embedding"].get<std::vector<double>>() == vector);
  CHECK(out["similarity"][0][1].get<double>() == Approx(1.0).margin(1e-6));
  CHECK(out["similarity"][0][2].get<double>() == Approx(out["similarity"][2][0].get<double>()).margin(1e-12));
  CHECK(out["similarity"][0][2].get<double>() < 0.9999);

  Outcome plain = call({"embed", bundled, "-p", "A fox", "--pooling", "last", "--no-normalize"});
  CHECK(plain.code == 0);
  CHECK(std::count(plain.out.begin(), plain.out.end(), ' ') == 255);
  CHECK(std::count(plain.out.begin(), plain.out.end(), '\n') == 1);

  const std::string adapter = (scratch() / "embed.gguf").string();
  write_file(adapter, adapter_bytes("blk.3.attn_output.weight", 256, 256));
  auto first = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"embed", bundled, "-p", "A fox", "-p", "A dog", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    Outcome outcome = call(words);
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    return json::parse(outcome.out)["embeddings"][0]["embedding"].get<std::vector<double>>();
  };
  CHECK(first({}) == vector);
  CHECK(first({"--lora", adapter}) != vector);
  CHECK(first({"--lora-scaled", adapter + "=0"}) == vector);
  check_error({"embed", bundled, "-p", "a", "--lora", bundled}, 3, "general.type");
  check_error({"embed", bundled}, 2, "no text");
  check_error({"embed", bundled, "-p", "a", "--pooling", "max"}, 2);
}
