// Owns: tests of the program `strata` from outside: exit codes, outputs, errors. Knows no header of strata.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/program.h"

using namespace program;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string join(const std::vector<int>& ids, char separator = ',') {
  std::string out;
  for (int id : ids) {
    if (!out.empty()) out += separator;
    out += std::to_string(id);
  }
  return out;
}

const std::vector<std::string> commands{"run",        "chat",  "inspect", "tokenize", "detokenize", "template", "logits",
                                        "perplexity", "embed", "bench", "bench-compare", "devices", "selftest", "make-model", "imatrix",
                                        "quantize",   "split", "merge"};

}  // namespace

TEST_CASE("every command has help") {
  Outcome all = call({"--help"});
  CHECK(all.code == 0);
  for (const std::string& command : commands) {
    INFO(command);
    CHECK(all.out.find("\n  " + command + " ") != std::string::npos);
    Outcome o = call({command, "--help"});
    CHECK(o.code == 0);
    CHECK(o.err.empty());
    CHECK(o.out.find("Usage: strata " + command) != std::string::npos);
    CHECK(call({"help", command}).out == o.out);
  }
  CHECK(call({"help"}).out == all.out);
  CHECK(call({"--version"}).out.rfind("strata 0.", 0) == 0);
}

TEST_CASE("bad usage is one line and exit code 2") {
  check_error({}, 2, "strata --help");
  check_error({"fly"}, 2, "no command 'fly'");
  check_error({"--fly"}, 2, "no option '--fly'");
  check_error({"help", "fly"}, 2, "no command 'fly'");
  check_error({"run", "--fly"}, 2, "strata run --help");
  check_error({"run", "-n", "many"}, 2);
  check_error({"run", "--temp", "-1"}, 2, "temperature is -1");
  check_error({"run", "--top-p", "0"}, 2, "top_p");
  check_error({"run", "-m", bundled}, 2, "no prompt");
  check_error({"run", "-p", ""}, 2, "the prompt is empty");
  check_error({"run", "-p", "a", "-f", "b"}, 2, "one prompt");
  check_error({"run", "--prompt-tokens", ""}, 2, "the prompt is empty");
  check_error({"run", "--prompt-tokens", "1,x"}, 2, "'x' is no token id");
  check_error({"run", "--prompt-tokens", "99999999999"}, 2, "no token id");
  check_error({"run", "--prompt-tokens", "999999"}, 2, "999999");
  check_error({"run", "--kv-type", "f8"}, 2);
  check_error({"run", bundled, "-", "more"}, 2, "'more'");
  check_error({"run", "-f", scratch().string()}, 2, "folder");
  check_error({"tokenize", bundled}, 2, "one text");
  check_error({"tokenize", bundled, "word"}, 2, "'word'");
  check_error({"detokenize", bundled, "5,-1"}, 2, "-1");
  check_error({"detokenize", bundled, "5,2048"}, 2, "2048");
  check_error({"inspect"}, 2, "MODEL");
  check_error({"inspect", bundled, "--dump", "x"}, 2, "--out");
  check_error({"logits", bundled, "--tokens", "1", "--batch", "0", "--out", "x"}, 2);
  check_error({"make-model", "--like", "nothing", "--out", "x"}, 2, "nothing");
  check_error({"perplexity", bundled, scratch().string()}, 2, "folder");
}

TEST_CASE("what cannot be found or run is exit code 3") {
  check_error({"run", "-m", (scratch() / "none.gguf").string(), "-p", "a"}, 3, "none.gguf");
  check_error({"run", "-p", "a", "--device", "abacus"}, 3, "abacus");
  check_error({"inspect", bundled, "--dump", "no.such.tensor", "--out", (scratch() / "x").string()}, 3, "no.such.tensor");
  check_error({"logits", bundled, "--tokens", "1", "--out", (scratch() / "no" / "folder").string()}, 3, "folder");
  check_error({"perplexity", bundled, (scratch() / "none.txt").string()}, 3, "none.txt");
}

TEST_CASE("what does not fit the context is exit code 4") {
  check_error({"run", "--prompt-tokens", "1,2,3,4,5", "--ctx", "4"}, 4, "context");
  check_error({"logits", bundled, "--tokens", "1,2,3,4,5", "--ctx", "4", "--out", (scratch() / "x").string()}, 4, "context");
  CHECK_FALSE(fs::exists(scratch() / "x"));
  Outcome o = call({"run", "--prompt-tokens", "1,2,3", "--ctx", "4", "-n", "10", "--ignore-eos", "--print-tokens"});
  CHECK(o.code == 4);
  CHECK(std::count(o.out.begin(), o.out.end(), ',') == 1);  // the room was used: two tokens
}

TEST_CASE("files that are no models are refused in one line") {
  const std::string whole = strata::test::read_text(bundled);
  std::map<std::string, std::string> files{
      {"empty.gguf", ""},
      {"text.gguf", "This is a text and no model.\n"},
      {"magic.gguf", "GGML" + whole.substr(4)},
      {"header.gguf", whole.substr(0, 10)},
      {"metadata.gguf", whole.substr(0, 5000)},
      {"tensors.gguf", whole.substr(0, whole.size() / 2)},
      {"last.gguf", whole.substr(0, whole.size() - 1)},
  };
  // Version 3, no tensors, one pair whose key is empty: a u32 of 5... and the file ends after 37 bytes.
  std::string empty_key("GGUF\x03\0\0\0" "\0\0\0\0\0\0\0\0" "\x01\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\x04\0\0\0" "\x05", 37);
  REQUIRE(empty_key.size() == 37);
  files["key.gguf"] = empty_key;
  for (const auto& [name, bytes] : files) {
    const std::string path = (scratch() / name).string();
    write_file(path, bytes);
    check_error({"run", "-m", path, "-p", "a"}, 3, name);
    check_error({"inspect", path}, 3, name);
    check_error({"tokenize", path, "--text", "a"}, 3, name);
    check_error({"bench", path}, 3, name);
  }
  for (const char* command : {"inspect", "bench", "chat"}) check_error({command, scratch().string()}, 3);
}

TEST_CASE("run continues a text with the bundled model") {
  Outcome o = call({"run", "-p", "Once upon a time", "-n", "40", "--seed", "7"});
  CHECK(o.code == 0);
  CHECK(o.out.size() > 40);
  CHECK(o.out.find("Once upon") == std::string::npos);
  CHECK(o.err.find("prompt 4 tokens, ") == 0);
  CHECK(o.err.find("answer 40 tokens, ") != std::string::npos);
  CHECK(call({"run", "-n", "40", "--seed", "7"}).out == o.out);
  CHECK(call({"run", "-", "-n", "40", "--seed", "7"}, "Once upon a time").out == o.out);
  CHECK(call({"run", bundled, "-", "-n", "40", "--seed", "7"}, "Once upon a time").out == o.out);
  CHECK(call({"run", "-n", "40", "--seed", "7", "--echo"}).out == "Once upon a time" + o.out);
  CHECK(call({"run", "-n", "40", "--seed", "8"}).out != o.out);
  write_file(scratch() / "prompt.txt", "Once upon a time");
  CHECK(call({"run", "-f", (scratch() / "prompt.txt").string(), "-n", "40", "--seed", "7"}).out == o.out);
}

TEST_CASE("run in JSON, in ids and with a stop string") {
  const std::vector<std::string> base{"run", "-p", "Once upon a time", "-n", "30", "--temp", "0"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return call(more);
  };
  Outcome o = with({"--json"});
  CHECK(o.code == 0);
  CHECK(o.err.empty());
  json j = json::parse(o.out);
  CHECK(j["prompt_tokens"].size() == 4);
  CHECK(j["tokens"].size() == 30);
  CHECK(j["stop"] == "length");
  CHECK(j["decode_seconds"] > 0);
  CHECK(j["peak_memory"] > 0);
  const std::string text = j["text"];
  CHECK(with({}).out == text + "\n");
  CHECK(with({"--print-tokens"}).out == join(j["tokens"].get<std::vector<int>>()) + "\n");
  const std::string stop = text.substr(text.size() / 2, 4);
  json stopped = json::parse(with({"--json", "--stop", stop}).out);
  CHECK(stopped["text"] == text.substr(0, text.find(stop)));
  CHECK(stopped["stop"] == "stop_string");
}

TEST_CASE("Ctrl-C ends the text, shows the figures and gives 130") {
  Outcome o = call({"run", "-n", "-1", "--ignore-eos", "--ctx", "1000000"}, "", "timeout --foreground --preserve-status -s INT 2");
  CHECK(o.code == 130);
  CHECK(o.out.size() > 10);
  CHECK(o.err.find("prompt 4 tokens, ") == 0);
  CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
}

TEST_CASE("the bundled model ends its stories by itself") {
  Outcome o = call({"run", "-n", "-1", "--seed", "1", "--json"});
  REQUIRE(o.code == 0);
  CHECK(json::parse(o.out)["stop"] == "end_of_generation");
}

TEST_CASE("tokenize and detokenize are inverse") {
  for (std::string text : {"Once upon a time, there was a fox.", " two  spaces\n\tand a tab", "naïve 你好 😀", ""}) {
    INFO(text);
    Outcome o = call({"tokenize", bundled, "--text", text});
    REQUIRE(o.code == 0);
    CHECK(call({"detokenize", bundled, "-"}, o.out).out == text);
    CHECK(call({"tokenize", bundled, "-"}, text).out == o.out);
    json j = json::parse(call({"tokenize", bundled, "--text", text, "--json"}).out);
    CHECK(join(j["tokens"].get<std::vector<int>>(), ' ') + "\n" == o.out);
  }
  CHECK(call({"tokenize", bundled, "--text", "<|im_end|>"}).out == "2045\n");
  CHECK(call({"tokenize", bundled, "--text", "<|im_end|>", "--no-parse-special"}).out != "2045\n");
  CHECK(call({"detokenize", bundled, "1564,2045"}).out == "Hello");
  CHECK(call({"detokenize", bundled, "1564", "2045", "--special"}).out == "Hello<|im_end|>");
  CHECK(json::parse(call({"detokenize", bundled, "1564", "--json"}).out)["text"] == "Hello");
  CHECK(call({"tokenize", bundled, "--text", "Hello", "--pieces"}).out.find("1564  Hello") != std::string::npos);
}

TEST_CASE("inspect shows what the file holds") {
  Outcome o = call({"inspect", bundled, "--json"});
  REQUIRE(o.code == 0);
  json j = json::parse(o.out);
  CHECK(j["summary"]["architecture"] == "qwen35moe");
  CHECK(j["summary"]["quantisation"] == "Q4_K");
  CHECK(j["summary"]["context_length"] == 2048);
  CHECK(j["file_bytes"] == fs::file_size(bundled));
  CHECK(j["metadata"]["tokenizer.ggml.tokens"]["value"]["count"] == 2048);
  CHECK(j["metadata"]["tokenizer.ggml.tokens"]["value"]["head"].size() == 8);
  CHECK(j["metadata"]["general.name"]["value"] == "Strata Tiny");
  std::uint64_t bytes = 0, mixed = 0;
  for (const json& t : j["tensors"]) bytes += t["bytes"].get<std::uint64_t>();
  for (const json& m : j["mixture"]) mixed += m["bytes"].get<std::uint64_t>();
  CHECK(bytes == mixed);
  CHECK(bytes == j["summary"]["tensor_bytes"]);
  json full = json::parse(call({"inspect", bundled, "--json", "--full"}).out);
  CHECK(full["metadata"]["tokenizer.ggml.tokens"]["value"].size() == 2048);
  Outcome table = call({"inspect", bundled});
  CHECK(table.code == 0);
  CHECK(table.out.find("qwen35moe (Strata Tiny)") != std::string::npos);
  CHECK(table.out.find("blk.3.attn_q.weight") != std::string::npos);
}

TEST_CASE("inspect writes a tensor as float32") {
  const fs::path out = scratch() / "norm.f32";
  REQUIRE(call({"inspect", bundled, "--dump", "output_norm.weight", "--out", out.string()}).code == 0);
  CHECK(fs::file_size(out) == 256 * 4);
  REQUIRE(call({"inspect", bundled, "--dump", "token_embd.weight", "--out", out.string()}).code == 0);
  CHECK(fs::file_size(out) == 2048 * 256 * 4);
  for (float x : strata::test::read_floats(out.string())) REQUIRE(std::isfinite(x));
}

TEST_CASE("inspect shows a file of an unknown architecture, without a summary") {
  // GGUF 3, no tensors, general.architecture = "abc".
  std::string bytes("GGUF\x03\0\0\0" "\0\0\0\0\0\0\0\0" "\x01\0\0\0\0\0\0\0" "\x14\0\0\0\0\0\0\0", 32);
  bytes += "general.architecture";
  bytes += std::string("\x08\0\0\0" "\x03\0\0\0\0\0\0\0" "abc", 15);
  const std::string path = (scratch() / "abc.gguf").string();
  write_file(path, bytes);
  Outcome o = call({"inspect", path, "--json"});
  REQUIRE(o.code == 0);
  json j = json::parse(o.out);
  CHECK(j["summary"].is_null());
  CHECK(j["note"].get<std::string>().find("abc") != std::string::npos);
  CHECK(j["metadata"]["general.architecture"]["value"] == "abc");
  CHECK(call({"inspect", path}).out.find("no summary: ") == 0);
  check_error({"run", path, "-p", "a"}, 3, "abc");
}

TEST_CASE("logits are the same however the tokens are cut") {
  auto bytes = [](std::vector<std::string> more) {
    const fs::path out = scratch() / "logits.f32";
    more.insert(more.end(), {"--out", out.string()});
    REQUIRE(call(more).code == 0);
    return strata::test::read_text(out.string());
  };
  const std::string whole = bytes({"logits", bundled, "--tokens", "527,629,257,520,461"});
  CHECK(whole.size() == 5 * 2048 * 4);
  for (const char* batch : {"1", "2", "3"})
    CHECK(bytes({"logits", bundled, "--tokens", "527,629,257,520,461", "--batch", batch}) == whole);
  CHECK(bytes({"logits", bundled, "--tokens", "527 629", "--threads", "1"}) == whole.substr(0, 2 * 2048 * 4));
}

TEST_CASE("make-model does not overwrite a file unasked") {
  const std::string out = (scratch() / "made.gguf").string();
  write_file(out, "mine");
  check_error({"make-model", "--like", "llama-1b", "--out", out}, 2, "--force");
  CHECK(strata::test::read_text(out) == "mine");
}

TEST_CASE("devices names cpu and ref") {
  Outcome o = call({"devices", "--json"});
  REQUIRE(o.code == 0);
  json j = json::parse(o.out);
  std::set<std::string> ids;
  for (const json& device : j["devices"]) ids.insert(device["id"].get<std::string>());
  CHECK(ids.count("cpu") == 1);
  CHECK(ids.count("ref") == 1);
  CHECK(j["cpu_instruction_sets"].back() == "scalar");
  CHECK(j["physical_cores"] >= 1);
}

TEST_CASE("selftest passes on cpu and counts its cases") {
  Outcome o = call({"selftest", "--device", "cpu", "--json"});
  CHECK(o.code == 0);
  json j = json::parse(o.out);
  CHECK(j["failed"] == 0);
  CHECK(j["passed"] > 50);
  CHECK(j["cases"].size() == j["passed"].get<std::size_t>() + j["skipped"].get<std::size_t>());
}

TEST_CASE("template writes a conversation as the file's template does") {
  const std::string messages = (scratch() / "messages.json").string(), source = (scratch() / "t.jinja").string();
  write_file(messages, R"([{"role": "user", "content": "Hi <|im_end|>"}])");
  write_file(source, "{{ mood }} {{ messages[0].content }} {{ tools | tojson }} {{ strftime_now('%Y-%m-%d %H:%M') }} {{ eos_token }}");
  Outcome o = call({"template", bundled, "--messages", messages});
  CHECK(o.code == 0);
  CHECK(o.out == "<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n");
  CHECK(call({"template", bundled, "--messages", "-"}, R"([{"role": "user", "content": "Hi <|im_end|>"}])").out == o.out);
  CHECK(call({"template", bundled, "--messages", messages, "--no-generation-prompt"}).out == "<|im_start|>user\nHi <|im_end|><|im_end|>\n");
  json j = json::parse(call({"template", bundled, "--messages", messages, "--json"}).out);
  CHECK(j["text"] == o.out);
  CHECK(j["content"] == json::parse("[[17, 30]]"));
  CHECK(j["tokens"].size() > 12);
  CHECK(call({"template", bundled, "--source"}).out.find("im_start") != std::string::npos);
  write_file(scratch() / "tools.json", R"([{"name": "f"}])");
  CHECK(call({"template", "--template", source, "--messages", messages, "--tools", (scratch() / "tools.json").string(), "--set", "mood=\"good\"", "--now",
              "2026-11-21T09:03:44"}).out == "good Hi <|im_end|> [{\"name\": \"f\"}] 2026-11-21 09:03 ");
  CHECK(call({"template", bundled, "--template", source, "--messages", messages}).out.find(" <|im_end|>") != std::string::npos);
  // Without --now, the clock's time.
  CHECK(call({"template", "--template", source, "--messages", messages}).out.find(" 20") != std::string::npos);
}

TEST_CASE("template refuses in one line") {
  const std::string messages = (scratch() / "m.json").string(), source = (scratch() / "e.jinja").string();
  write_file(messages, "[]");
  write_file(source, "a\n{{ raise_exception('no ' ~ 'way') }}");
  check_error({"template", "--template", source, "--messages", messages}, 2, "line 2: the template refuses the conversation: no way");
  check_error({"template", "--messages", messages}, 2, "MODEL");
  check_error({"template", bundled}, 2, "--messages");
  check_error({"template", bundled, "--messages", (scratch() / "none.json").string()}, 3, "none.json");
  check_error({"template", bundled, "--messages", messages, "--set", "x"}, 2, "KEY=JSON");
  check_error({"template", bundled, "--messages", messages, "--set", "x=y"}, 2, "x: JSON, byte 1: ");
  check_error({"template", bundled, "--messages", messages, "--now", "yesterday"}, 2, "2026-11-21T09:03:44");
  check_error({"template", bundled, "--messages", messages, "--now", "2026-13-21T09:03:44"}, 2, "now");
  check_error({"template", bundled, "--messages", messages, "--variant", "x"}, 3, "named 'x'");
  check_error({"template", bundled, "--source", "--variant", "x"}, 3, "named 'x'");
  write_file(source, "{% include 'x' %}");
  check_error({"template", "--template", source, "--messages", messages}, 3, "include");
  write_file(messages, "{}");
  check_error({"template", bundled, "--messages", messages}, 2, "not a JSON array");
}

TEST_CASE("stories260k: greedy ids, perplexity, unbatched logits") {
  auto model = strata::test::shared("models/stories260k/stories260k-f32.gguf");
  auto golden = strata::test::shared("models/stories260k/greedy.json");
  auto sample = strata::test::shared("models/stories260k/sample.txt");
  if (!model || !golden || !sample) return;
  const json greedy = json::parse(strata::test::read_text(*golden));
  const auto prompt = greedy["prompt_ids"].get<std::vector<int>>();
  std::vector<int> expected = greedy["ids"].get<std::vector<int>>();
  expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
  REQUIRE(expected.size() == 250);
  Outcome o = call({"run", "-m", *model, "--prompt-tokens", join(prompt), "--print-tokens", "--temp", "0", "--ignore-eos",
                      "-n", "250"});
  CHECK(o.code == 0);
  CHECK(o.out == join(expected) + "\n");
  CHECK(call({"tokenize", *model, "--text", greedy["prompt"].get<std::string>(), "--json"}).out ==
        json({{"tokens", prompt}}).dump() + "\n");

  Outcome p = call({"perplexity", *model, *sample, "--ctx", "256", "--kv-type", "f32", "--json"});
  REQUIRE(p.code == 0);
  json j = json::parse(p.out);
  CHECK(j["predictions"] == 1785);
  CHECK(std::fabs(j["perplexity"].get<double>() - 4.5283) < 0.0002);

  const fs::path out = scratch() / "stories.f32";
  REQUIRE(call({"logits", *model, "--tokens", "1", "--out", out.string()}).code == 0);
  auto logits = strata::test::read_floats(out.string());
  REQUIRE(logits.size() == 512);
  const float first[] = {-6.2229f, 8.4043f, -6.2237f, -6.2225f};
  for (int i = 0; i < 4; ++i) CHECK(std::fabs(logits[i] - first[i]) < 1e-4f);
}
