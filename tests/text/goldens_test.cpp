// Owns: agreement with the reference's token ids and detokenized bytes, case by case.
#include <nlohmann/json.hpp>
#include <sstream>

#include "text/vocabularies.h"

namespace strata::test {

namespace {

using Ids = std::vector<std::int32_t>;

std::string from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

void check_cases(const std::string& name, const std::string& vocabulary, const std::string& pre = "") {
  auto path = shared("conformance/vocab/" + name + ".cases.json");
  const text::Tokenizer* tokenizer = shared_tokenizer(vocabulary, pre);
  if (!path || tokenizer == nullptr) return;
  auto golden = nlohmann::json::parse(read_text(*path));
  CHECK(tokenizer->size() == golden.at("n_vocab").get<int>());
  CHECK(tokenizer->bos() == golden.at("bos").get<int>());
  CHECK(tokenizer->eos() == golden.at("eos").get<int>());
  CHECK(tokenizer->adds_bos() == golden.at("add_bos").get<bool>());
  CHECK(tokenizer->adds_eos() == golden.at("add_eos").get<bool>());
  REQUIRE(golden.at("cases").size() > 100);
  for (const auto& row : golden.at("cases")) {
    std::string text = from_hex(row[0].get<std::string>());
    INFO(name << ": " << row[0] << " " << text);
    for (int column = 1; column <= 4; ++column) {
      text::EncodeOptions options{.add_special = column >= 3, .parse_special = column % 2 == 0};
      INFO("column " << column);
      CHECK(tokenizer->encode(text, options).value_or_throw() == row[column].get<Ids>());
    }
    Ids ids = row[2].get<Ids>();
    CHECK(tokenizer->decode(ids, true) == from_hex(row[5].get<std::string>()));
    CHECK(tokenizer->decode(ids, false) == from_hex(row[6].get<std::string>()));
  }
}

/// The reference's own test files: texts between separator lines, and a line of ids for each.
void check_lines(const std::string& vocabulary) {
  auto inputs = shared("conformance/vocab/" + vocabulary + ".inp");
  auto outputs = shared("conformance/vocab/" + vocabulary + ".out");
  const text::Tokenizer* tokenizer = shared_tokenizer(vocabulary);
  if (!inputs || !outputs || tokenizer == nullptr) return;
  const std::string separator = "\n__ggml_vocab_test__\n", texts = read_text(*inputs);
  std::istringstream lines(read_text(*outputs));
  int count = 0;
  for (std::size_t at = 0; at < texts.size(); ++count) {
    std::size_t end = std::min(texts.find(separator, at), texts.size());
    std::string text = texts.substr(at, end - at), line;
    at = end + separator.size();
    if (at > texts.size() && text == "\n") break;  // the line end of the file itself
    REQUIRE(std::getline(lines, line));
    std::istringstream numbers(line);
    Ids expected{std::istream_iterator<int>(numbers), {}};
    INFO(vocabulary << ": " << text);
    CHECK(tokenizer->encode(text, {.add_special = false, .parse_special = false}).value_or_throw() == expected);
  }
  CHECK(count > 40);
}

}  // namespace

TEST_CASE("llama (SentencePiece) agrees with the goldens") {
  check_cases("llama-spm", "ggml-vocab-llama-spm.gguf");
  check_lines("ggml-vocab-llama-spm.gguf");
}
TEST_CASE("llama-bpe agrees with the goldens") {
  check_cases("llama-bpe", "ggml-vocab-llama-bpe.gguf");
  check_lines("ggml-vocab-llama-bpe.gguf");
}
TEST_CASE("qwen2 agrees with the goldens") { check_cases("qwen2", "ggml-vocab-qwen35.gguf", "qwen2"); }
TEST_CASE("qwen35 agrees with the goldens") {
  check_cases("qwen35", "ggml-vocab-qwen35.gguf");
  check_lines("ggml-vocab-qwen35.gguf");
}
TEST_CASE("gpt-2 agrees with the goldens") {
  check_cases("gpt-2", "ggml-vocab-gpt-2.gguf");
  check_lines("ggml-vocab-gpt-2.gguf");
}

TEST_CASE("deepseek-llm agrees with the goldens") {
  check_cases("deepseek-llm", "ggml-vocab-deepseek-llm.gguf");
  check_lines("ggml-vocab-deepseek-llm.gguf");
}
TEST_CASE("gemma-4 agrees with the goldens") {
  check_cases("gemma-4", "ggml-vocab-gemma-4.gguf");
  check_lines("ggml-vocab-gemma-4.gguf");
}
TEST_CASE("phi-3 agrees with the goldens") {
  check_cases("phi-3", "ggml-vocab-phi-3.gguf");
  check_lines("ggml-vocab-phi-3.gguf");
}

}  // namespace strata::test
