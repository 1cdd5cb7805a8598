// Owns: saved sessions: what is loaded goes on to the bit, and nothing damaged or foreign is believed. Knows the public
// API.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/edit_model.h"
#include "support/shared.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& path, const std::string& device = "cpu", KvType kv = KvType::f16) {
  ModelOptions options;
  options.device = device;
  options.threads = 1;
  options.kv_type = kv;
  return Model::load(path, options).value_or_throw();
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

std::vector<Token> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Token> out(count);
  for (Token& token : out) token = static_cast<Token>(random() % 512);
  return out;
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), std::streamsize(bytes.size()));
}

void generate(Session& session, std::span<const Token> prompt) {
  Sampler sampler;
  GenerateOptions options;
  options.max_tokens = 20;
  options.ignore_eos = true;
  session.generate(prompt, sampler, options).value_or_throw();
}

TEST_CASE("a loaded session goes on as the saved one, to the bit") {
  const std::string path = temporary_path("session");
  for (const char* architecture : {"llama", "qwen35", "qwen35moe", "gemma3"})
    for (const char* device : {"cpu", "cpu=2,ref"}) {
      INFO(architecture << " on " << device);
      Model model = load(write_tiny_model(architecture, "Q8_0"), device);
      Session session = Session::create(model, {1024, 64, 5}).value_or_throw();
      const auto prompt = random_tokens(300, 1), more = random_tokens(30, 2);
      generate(session, prompt);
      session.save(path).value_or_throw();

      Session again = Session::create(model, {1024, 64, 5}).value_or_throw();
      again.evaluate(more).value_or_throw();  // what it held is replaced
      again.load(path).value_or_throw();
      CHECK(std::ranges::equal(again.tokens(), session.tokens()));
      CHECK(copy(again.logits()) == copy(session.logits()));
      CHECK(again.memory() == session.memory());
      // Back to the prompt's end through marks, snapshots and kept logits, then on.
      CHECK(again.sync(prompt).value_or_throw() == 0);
      CHECK(session.sync(prompt).value_or_throw() == 0);
      CHECK(copy(again.logits()) == copy(session.logits()));
      auto edited = prompt;
      edited[200] = (edited[200] + 1) % 512;
      CHECK(again.sync(edited).value_or_throw() == session.sync(edited).value_or_throw());
      again.evaluate(more).value_or_throw();
      session.evaluate(more).value_or_throw();
      CHECK(copy(again.logits()) == copy(session.logits()));
      // Another device's session of the same model is taken, too.
      session.save(path).value_or_throw();
      Session elsewhere = Session::create(load(write_tiny_model(architecture, "Q8_0"), "ref"), {1024}).value_or_throw();
      elsewhere.load(path).value_or_throw();
      CHECK(std::ranges::equal(elsewhere.tokens(), session.tokens()));
    }
  std::filesystem::remove(path);
}

TEST_CASE("quantised caches are saved and loaded") {
  const std::string path = temporary_path("session");
  for (KvType type : {KvType::q8_0, KvType::q4_0, KvType::f32}) {
    Model model = load(write_tiny_model("qwen35", "Q8_0"), "cpu", type);
    Session session = Session::create(model, {512}).value_or_throw(), again = Session::create(model, {512}).value_or_throw();
    session.evaluate(random_tokens(150, 1)).value_or_throw();
    session.save(path).value_or_throw();
    again.load(path).value_or_throw();
    const auto more = random_tokens(20, 2);
    session.evaluate(more).value_or_throw();
    again.evaluate(more).value_or_throw();
    CHECK(copy(again.logits()) == copy(session.logits()));
    CHECK(session.memory_plan().cache == 8 * 64 * 2 * 2 * 128 * (type == KvType::f32 ? 128 : type == KvType::q8_0 ? 34 : 18) / 32);
  }
  std::filesystem::remove(path);
}

TEST_CASE("an empty session is saved and loaded") {
  const std::string path = temporary_path("session");
  Model model = load(write_tiny_model("qwen35", "Q8_0"));
  Session session = Session::create(model, {256}).value_or_throw();
  session.save(path).value_or_throw();
  Session other = Session::create(model, {256}).value_or_throw();
  other.evaluate(random_tokens(10, 1)).value_or_throw();
  other.load(path).value_or_throw();
  CHECK(other.tokens().empty());
  const auto tokens = random_tokens(70, 2);
  other.evaluate(tokens).value_or_throw();
  session.evaluate(tokens).value_or_throw();
  CHECK(copy(other.logits()) == copy(session.logits()));
  std::filesystem::remove(path);
}

TEST_CASE("damaged files are refused and leave the session as it was") {
  const char* architecture = GENERATE("qwen35", "gemma3");
  const std::string path = temporary_path("session"), broken = temporary_path("broken-session");
  Model model = load(write_tiny_model(architecture, "Q8_0"));
  Session session = Session::create(model, {256, 16, 2}).value_or_throw();
  generate(session, random_tokens(170, 1));
  session.save(path).value_or_throw();
  const std::string good = read_text(path);

  Session other = Session::create(model, {256, 16, 2}).value_or_throw();
  other.evaluate(random_tokens(40, 3)).value_or_throw();
  const auto tokens = std::vector<Token>(other.tokens().begin(), other.tokens().end());
  const auto logits = copy(other.logits());
  int refused = 0;
  auto try_bytes = [&](std::string_view bytes) {
    write_bytes(broken, bytes);
    auto loaded = other.load(broken);
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error().message.find('\n') == std::string::npos);
    REQUIRE(loaded.error().message.find(broken) == 0);
    REQUIRE((loaded.error().code == ErrorCode::bad_file || loaded.error().code == ErrorCode::unsupported));
    ++refused;
  };
  constexpr int kHeader = 8 + 8 + 8 + 13 * 4 + 8;
  std::mt19937 random(4);
  for (std::size_t size : {0u, 1u, 8u, 50u, 71u, 80u}) try_bytes(std::string_view(good).substr(0, size));
  for (int i = 0; i < 40; ++i) try_bytes(std::string_view(good).substr(0, random() % good.size()));
  try_bytes(std::string_view(good).substr(0, good.size() - 1));
  try_bytes(good + '\0');
  for (std::size_t bit = 0; bit < std::size_t{kHeader} * 8; ++bit) {  // the header and its checksum
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    try_bytes(bad);
  }
  for (int i = 0; i < 150; ++i) {
    std::string bad = good;
    const std::size_t at = i < 10 ? bad.size() - 1 - std::size_t(i) : random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    try_bytes(bad);
  }
  CHECK(refused == 6 + 40 + 2 + kHeader * 8 + 150);
  CHECK(std::ranges::equal(other.tokens(), tokens));
  CHECK(copy(other.logits()) == logits);
  other.evaluate(random_tokens(5, 5)).value_or_throw();
  other.load(path).value_or_throw();
  CHECK(std::ranges::equal(other.tokens(), session.tokens()));
  for (const std::string& file : {path, broken}) std::filesystem::remove(file);
}

TEST_CASE("what belongs elsewhere is refused with the reason") {
  const std::string path = temporary_path("session"), adapter_path = temporary_path("session-adapter.gguf");
  const std::string model_path = write_tiny_model("llama", "F32");
  Model model = load(model_path);
  Session session = Session::create(model, {256}).value_or_throw();
  session.evaluate(random_tokens(100, 1)).value_or_throw();
  session.save(path).value_or_throw();
  auto refused = [&](Session other, ErrorCode code, const std::string& part) {
    auto loaded = other.load(path);
    REQUIRE_FALSE(loaded);
    INFO(loaded.error().message);
    CHECK(loaded.error().code == code);
    CHECK(loaded.error().message.find(part) != std::string::npos);
    CHECK(other.tokens().empty());
  };
  auto session_of = [](const Model& m, int context) { return Session::create(m, {context}).value_or_throw(); };
  refused(session_of(load(write_tiny_model("llama", "Q8_0")), 256), ErrorCode::unsupported, "another model");
  refused(session_of(load(model_path, "cpu", KvType::f32), 256), ErrorCode::unsupported, "F16");
  refused(session_of(model, 99), ErrorCode::context_full, "100 tokens");

  // The same directory and metadata, other weights.
  const std::string tuned = temporary_path("session-tuned.gguf");
  edit_model(model_path, tuned, [](const gguf::Tensor& tensor, std::vector<float>& values) {
    if (tensor.name == "blk.2.ffn_up.weight") values[3] += 0.5f;
    return true;
  });
  refused(session_of(load(tuned), 256), ErrorCode::unsupported, "another model");

  auto file = gguf::File::open(model_path).value_or_throw();
  write_adapter(adapter_path, "llama", {random_change(*file, "blk.0.attn_q.weight", 4, 1)}, 8);
  const AdapterUse adapted[] = {{Adapter::load(model, adapter_path).value_or_throw(), 1.0f}};
  Session other = session_of(model, 256);
  other.set_adapters(adapted).value_or_throw();
  refused(std::move(other), ErrorCode::unsupported, "adapters");
  other = session_of(model, 256);
  other.set_adapters(adapted).value_or_throw();
  other.evaluate(random_tokens(10, 1)).value_or_throw();
  other.save(path).value_or_throw();
  refused(session_of(model, 256), ErrorCode::unsupported, "adapters");
  Session same = session_of(model, 256);
  same.set_adapters(adapted).value_or_throw();
  same.load(path).value_or_throw();
  CHECK(copy(same.logits()) == copy(other.logits()));

  auto missing = session.load(temporary_path("no-such-session"));
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::not_found);
  auto unwritable = session.save("/nonexistent/folder/session");
  REQUIRE_FALSE(unwritable);
  CHECK(session.tokens().size() == 100);
  for (const std::string& file_path : {path, adapter_path, tuned}) std::filesystem::remove(file_path);
}

}  // namespace
