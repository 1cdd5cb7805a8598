// Owns: vocabularies as data: what is refused and why, defaults, end markers, reading them from a file.
#include <cstring>
#include <filesystem>
#include <fstream>

#include "gguf/writer.h"
#include "text/vocabularies.h"

namespace strata::test {

namespace {

using text::TokenType;
using text::Tokenizer;
using text::Vocabulary;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string refusal(Vocabulary v) {
  auto made = Tokenizer::create(std::move(v));
  return made ? "made" : made.error().message;
}

/// A file with these keys only, in a folder of its own.
class TemporaryFile {
 public:
  explicit TemporaryFile(const gguf::Writer& writer)
      : path_((std::filesystem::temp_directory_path() / ("strata-vocabulary-" + std::to_string(std::random_device{}()) + ".gguf")).string()) {
    writer.write(path_).value_or_throw();
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::shared_ptr<const gguf::File> open() const { return gguf::File::open(path_).value_or_throw(); }

 private:
  std::string path_;
};

using Set = std::pair<std::string, gguf::WriteValue>;

/// A good small gpt2 file, with keys replaced or added.
Result<Vocabulary> read_with(const std::vector<Set>& changes, std::shared_ptr<const gguf::File>& keep) {
  gguf::Writer writer;
  writer.set("general.architecture", std::string("llama"));
  writer.set("tokenizer.ggml.model", std::string("gpt2"));
  writer.set("tokenizer.ggml.pre", std::string("gpt-2"));
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<end>"});
  writer.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 3});
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  for (const auto& [key, value] : changes) writer.set("tokenizer.ggml." + key, value);
  keep = TemporaryFile(writer).open();
  return read_vocabulary(*keep);
}

std::string read_refusal(const std::vector<Set>& changes) {
  std::shared_ptr<const gguf::File> keep;
  auto read = read_with(changes, keep);
  return read ? "read" : read.error().message;
}

}  // namespace

TEST_CASE("unsound vocabularies are refused with the reason") {
  std::deque<std::string> texts;
  Vocabulary good = byte_vocabulary(texts, {"ab", "<end>"});
  auto with = [&](auto change) {
    Vocabulary v = good;
    change(v);
    return refusal(std::move(v));
  };
  CHECK(refusal(good) == "made");
  CHECK(contains(with([](Vocabulary& v) { v.model = "wordlevel"; }), "\"wordlevel\" is not supported; known are llama, gpt2, gemma4, bert, t5, rwkv, plamo2"));
  CHECK(contains(with([](Vocabulary& v) { v.pre = "morse"; }), "\"morse\" is not supported; known are default, llama-bpe"));
  CHECK(contains(with([](Vocabulary& v) { v.tokens.clear(); }), "empty"));
  CHECK(contains(with([](Vocabulary& v) { v.tokens.push_back("ab"); }), "tokens 256 and 258 have the same text \"ab\""));
  CHECK(contains(with([](Vocabulary& v) { v.types.resize(3); }), "token_type: 3 types for 258 tokens"));
  CHECK(contains(with([](Vocabulary& v) { v.scores.resize(3); }), "scores: 3 scores for 258 tokens"));
  CHECK(contains(with([](Vocabulary& v) { v.eos = 258; }), "eos_token_id: 258"));
  CHECK(contains(with([](Vocabulary& v) { v.fim_pad = 1 << 30; }), "fim_pad_token_id"));
  CHECK(with([](Vocabulary& v) { v.eos = -1; }) == "made");
  CHECK(contains(with([](Vocabulary& v) { v.merges = {"a b", "ab"}; }), "merges: number 1, \"ab\""));
  CHECK(contains(with([](Vocabulary& v) { v.merges = {"a "}; }), "number 0"));
  CHECK(contains(with([](Vocabulary& v) { v.merges = {""}; }), "number 0"));

  std::deque<std::string> more;
  Vocabulary pieces = piece_vocabulary(more, {"a", "b"});
  CHECK(refusal(pieces) == "made");
  Vocabulary unscored = pieces;
  unscored.scores.pop_back();
  CHECK(contains(refusal(unscored), "scores: 260 scores for 261 tokens"));
  Vocabulary nan = pieces;
  nan.scores[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(contains(refusal(nan), "score of token 7"));
}

TEST_CASE("empty token texts get names of their own") {
  std::deque<std::string> texts;
  Vocabulary v = byte_vocabulary(texts, {"", ""});
  auto tokenizer = Tokenizer::create(v).value_or_throw();
  CHECK(tokenizer->token_text(256) == "[EMPTY_256]");
  CHECK(tokenizer->find("[EMPTY_257]") == 257);
  v.tokens.push_back(texts.emplace_back("[EMPTY_256]"));
  CHECK(contains(refusal(v), "tokens 256 and 258"));
}

TEST_CASE("ids, flags and defaults") {
  std::deque<std::string> texts;
  Vocabulary v = piece_vocabulary(texts, {"\xE2\x96\x81" "a"});
  v.scores[259] = -1;
  auto tokenizer = Tokenizer::create(v).value_or_throw();
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK((tokenizer->adds_bos() && !tokenizer->adds_eos()));
  CHECK(tokenizer->encode("", {}).value_or_throw() == std::vector<std::int32_t>{1});
  v.add_bos = false;
  v.add_eos = true;
  v.add_space_prefix = false;
  auto plain = Tokenizer::create(v).value_or_throw();
  CHECK(plain->encode("!", {}).value_or_throw() == std::vector<std::int32_t>{3 + '!', 2});
  CHECK(plain->decode(std::vector<std::int32_t>{259}, false) == " a");
  CHECK(tokenizer->decode(std::vector<std::int32_t>{259, 259}, false) == "a a");

  std::deque<std::string> more;
  Vocabulary bytes = byte_vocabulary(more, {"<x>"});
  auto none = Tokenizer::create(bytes).value_or_throw();
  CHECK((!none->bos() && !none->eos() && none->end_of_generation().empty()));
  CHECK(none->piece(-1, true) == "");
  CHECK(none->piece(257, true) == "");
  CHECK(none->token_text(257) == "");
  CHECK(none->token_type(257) == TokenType::undefined);
}

TEST_CASE("text beyond the limit is refused") {
  std::deque<std::string> texts;
  auto tokenizer = Tokenizer::create(byte_vocabulary(texts)).value_or_throw();
  auto refused = tokenizer->encode(std::string((std::size_t{64} << 20) + 1, 'a'), {});
  REQUIRE(!refused);
  CHECK(contains(refused.error().message, "67108865 bytes; at most 67108864"));
}

TEST_CASE("special tokens beyond all reason are refused") {
  std::deque<std::string> texts;
  Vocabulary v = byte_vocabulary(texts, {std::string(1025, 'a')});
  CHECK(refusal(v) == "made");
  v.types.resize(v.tokens.size(), TokenType::normal);
  v.types.back() = TokenType::user_defined;
  CHECK(contains(refusal(v), "has 1025 bytes; at most 1024"));
}

TEST_CASE("a vocabulary without a byte loses it quietly or says unknown") {
  std::deque<std::string> texts;
  Vocabulary bytes = byte_vocabulary(texts);
  bytes.tokens[0] = "zero";  // byte 0 has no token now
  auto tokenizer = Tokenizer::create(bytes).value_or_throw();
  CHECK(tokenizer->encode(std::string("a\0b", 3), {}).value_or_throw() == std::vector<std::int32_t>{'a', 'b'});

  Vocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>", "a"};
  v.scores = {0, 0, 0, 0};
  v.types = {TokenType::unknown, TokenType::control, TokenType::control, TokenType::normal};
  v.add_space_prefix = false;
  auto unknown = Tokenizer::create(v).value_or_throw();
  CHECK(unknown->encode("ab", {}).value_or_throw() == std::vector<std::int32_t>{1, 3, 0});
}

TEST_CASE("end markers by id and by text, and their exceptions") {
  std::deque<std::string> texts;
  auto ends = [&](std::vector<std::string> more, auto change) {
    Vocabulary v = byte_vocabulary(texts, more);
    change(v);
    auto tokenizer = Tokenizer::create(std::move(v)).value_or_throw();
    std::vector<std::string> out;
    for (std::int32_t id : tokenizer->end_of_generation()) {
      CHECK(tokenizer->is_end_of_generation(id));
      out.emplace_back(tokenizer->token_text(id));
    }
    CHECK(!tokenizer->is_end_of_generation('a'));
    return std::pair(std::move(out), std::move(tokenizer));
  };
  using Texts = std::vector<std::string>;
  auto nothing = [](Vocabulary&) {};

  auto [qwen, t1] = ends({"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "<stop>"},
                         [](Vocabulary& v) { v.eos = 260; });
  CHECK(qwen == Texts{"<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "<stop>"});
  CHECK(t1->token_type(257) == TokenType::control);
  CHECK(t1->token_type(256) == TokenType::normal);

  auto [harmony, t2] = ends({"<|return|>", "<|call|>", "<|end|>", "<|channel|>", "<|start|>"}, nothing);
  CHECK(harmony == Texts{"<|return|>", "<|call|>"});
  for (std::int32_t id : {258, 259, 260}) CHECK(t2->token_type(id) == TokenType::user_defined);

  auto [solar, t3] = ends({"<|calls|>", "<|flush|>", "<|end|>"}, nothing);
  CHECK(solar == Texts{"<|calls|>", "<|flush|>"});

  auto [phi, t4] = ends({"<|end|>", "<|call|>"}, nothing);
  CHECK(phi == Texts{"<|end|>", "<|call|>"});

  auto [gemma, t5] = ends({"</s>", "<|tool_response>", "<turn|>"}, nothing);
  CHECK(gemma == Texts{"<|tool_response>", "<turn|>"});
  CHECK(t5->token_type(256) == TokenType::normal);

  auto [named, t6] = ends({"<x>", "<y>", "<repo_name>"}, [](Vocabulary& v) { v.eot = 256, v.eom = 257, v.fim_repo = 258; });
  CHECK(named == Texts{"<x>", "<y>", "<repo_name>"});
}

TEST_CASE("a vocabulary is read from a file") {
  std::shared_ptr<const gguf::File> keep;
  Vocabulary v = read_with({{"eos_token_id", std::uint32_t{3}},
                            {"padding_token_id", std::uint32_t{0xFFFFFFFF}},
                            {"bos_token_id", std::int32_t{-1}},
                            {"add_bos_token", false},
                            {"prefix_token_id", std::uint64_t{1}},
                            {"fim_pre_token_id", std::uint8_t{2}},
                            {"suffix_token_id", std::int64_t{1}},
                            {"scores", std::vector<std::int32_t>{0, -1, -2, -3}},
                            {"token_type", std::vector<std::uint8_t>{1, 1, 1, 3}}},
                           keep).value_or_throw();
  CHECK((v.model == "gpt2" && v.pre == "gpt-2" && v.tokens.size() == 4 && v.tokens[2] == "ab" && v.merges.size() == 1));
  CHECK(v.eos == 3);
  CHECK(v.padding == -1);
  CHECK(v.add_bos == false);
  CHECK(!v.add_eos);
  CHECK((v.fim_prefix == 2 && v.fim_suffix == 1 && !v.fim_middle));
  CHECK(v.scores == std::vector<float>{0, -1, -2, -3});
  CHECK(v.types == std::vector<TokenType>{TokenType::normal, TokenType::normal, TokenType::normal, TokenType::control});
  auto tokenizer = Tokenizer::create(v).value_or_throw();
  CHECK(tokenizer->encode("ab", {}).value_or_throw() == std::vector<std::int32_t>{2});
  CHECK((!tokenizer->bos() && tokenizer->eos() == 3));
}

TEST_CASE("files with unsound tokenizer keys are refused with the key") {
  using Floats = std::vector<float>;
  using Ints = std::vector<std::int32_t>;
  CHECK(read_refusal({}) == "read");
  CHECK(contains(read_refusal({{"model", std::string("none")}}), "tokenizer.ggml.model: none"));
  CHECK(contains(read_refusal({{"model", 3.0f}}), "tokenizer.ggml.model: is of type f32, not a string"));
  CHECK(contains(read_refusal({{"pre", true}}), "tokenizer.ggml.pre"));
  CHECK(contains(read_refusal({{"tokens", std::string("a")}}), "tokenizer.ggml.tokens: is of type string, not an array"));
  CHECK(contains(read_refusal({{"tokens", Ints{1, 2, 3, 4}}}), "tokenizer.ggml.tokens: is an array of i32, not of strings"));
  CHECK(contains(read_refusal({{"merges", Floats{1}}}), "tokenizer.ggml.merges"));
  CHECK(contains(read_refusal({{"scores", Floats{1, 2}}}), "tokenizer.ggml.scores: 2 elements for 4 tokens"));
  CHECK(contains(read_refusal({{"scores", std::vector<std::string>{"1", "2", "3", "4"}}}), "scores: element 0"));
  CHECK(contains(read_refusal({{"token_type", Ints{1, 2}}}), "token_type: 2 elements for 4 tokens"));
  CHECK(contains(read_refusal({{"token_type", Ints{1, 1, 7, 1}}}), "token_type: element 2"));
  CHECK(contains(read_refusal({{"token_type", Ints{1, 1, -1, 1}}}), "token_type: element 2"));
  CHECK(contains(read_refusal({{"token_type", Floats{1, 1, 1, 1}}}), "token_type: element 0 (the array is of f32)"));
  CHECK(contains(read_refusal({{"eos_token_id", std::uint32_t{4}}}), "tokenizer.ggml.eos_token_id: 4 is no token of the 4"));
  CHECK(contains(read_refusal({{"eos_token_id", std::int32_t{-2}}}), "tokenizer.ggml.eos_token_id: -2"));
  CHECK(contains(read_refusal({{"eos_token_id", std::string("3")}}), "tokenizer.ggml.eos_token_id: is of type string"));
  CHECK(contains(read_refusal({{"eos_token_id", Ints{3}}}), "tokenizer.ggml.eos_token_id: is of type array"));
  CHECK(contains(read_refusal({{"add_bos_token", std::string("yes")}}), "tokenizer.ggml.add_bos_token: is of type string"));

  gguf::Writer bare;
  bare.set("general.architecture", std::string("llama"));
  auto file = TemporaryFile(bare).open();
  auto read = read_vocabulary(*file);
  REQUIRE(!read);
  CHECK(contains(read.error().message, "tokenizer.ggml.model: missing"));
  bare.set("tokenizer.ggml.model", std::string("gpt2"));
  file = TemporaryFile(bare).open();
  CHECK(contains(read_vocabulary(*file).error().message, "tokenizer.ggml.tokens: missing"));
}

}  // namespace strata::test
