// Owns: loading a model and looking into files through the public API: errors, options, cancellation, summaries.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/shared.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("strata-" + std::to_string(getpid()) + "-" + name)).string();
}

Error error_of(const std::string& path, const ModelOptions& options = {}) {
  auto model = Model::load(path, options);
  REQUIRE_FALSE(model);
  INFO(model.error().message);
  CHECK(model.error().message.find('\n') == std::string::npos);
  return model.error();
}

TEST_CASE("devices are listed, ref is always there") {
  auto list = devices();
  REQUIRE(list.size() >= 2);
  CHECK(list.back().id == "ref");
  for (const DeviceInfo& device : list) CHECK_FALSE(device.description.empty());
  CHECK(cpu_instruction_sets().back() == "scalar");
  CHECK(physical_cores() >= 1);
  CHECK(std::string(version()).find('.') != std::string::npos);
}

TEST_CASE("load explains what is wrong") {
  CHECK(error_of("/nonexistent/model.gguf").code == ErrorCode::not_found);
  CHECK(error_of(std::filesystem::temp_directory_path().string()).message.find("directory") != std::string::npos);
  std::string path = write_tiny_model("llama", "Q8_0");
  ModelOptions options;
  options.device = "warp";
  CHECK(error_of(path, options).message.find("cpu") != std::string::npos);
  options.device = "cpu=2";
  CHECK(error_of(path, options).code == ErrorCode::invalid_argument);
  options.device = "cpu,ref";
  CHECK(error_of(path, options).code == ErrorCode::invalid_argument);
  options = {};
  options.isa = "sse9";
  CHECK(error_of(path, options).message.find("sse9") != std::string::npos);
  options = {};
  options.max_step = 0;
  CHECK(error_of(path, options).code == ErrorCode::invalid_argument);

  std::string bytes = read_text(path), broken = temporary("broken.gguf");
  auto with = [&](std::size_t size) {
    std::ofstream(broken, std::ios::binary).write(bytes.data(), std::streamsize(size));
    return error_of(broken);
  };
  CHECK(with(0).code == ErrorCode::bad_file);
  CHECK(with(3).code == ErrorCode::bad_file);
  CHECK(with(bytes.size() - 40).code == ErrorCode::bad_file);
  auto replaced = [&](const std::string& from, const std::string& to) {
    std::string other = bytes;
    REQUIRE(from.size() == to.size());
    for (std::size_t at; (at = other.find(from)) != std::string::npos;) other.replace(at, from.size(), to);
    std::ofstream(broken, std::ios::binary).write(other.data(), std::streamsize(other.size()));
    return error_of(broken).message;
  };
  CHECK(replaced("blk.1.ffn_up.weight", "blk.1.ffn_uq.weight").find("blk.1.ffn_up.weight") != std::string::npos);
  CHECK(replaced("llama.block_count", "llama.block_cound").find("llama.block_count") != std::string::npos);
  std::string length("\x0d\0\0\0\0\0\0\0", 8);  // so that attn_output.weight is not meant
  CHECK(replaced(length + "output.weight", length + "putput.weight").find("putput.weight") != std::string::npos);
  std::filesystem::remove(broken);
}

TEST_CASE("a load reports progress, logs when asked, and can be cancelled") {
  // Experts of the second are large enough for several threads to take them in.
  const std::string small = write_tiny_model("qwen35moe", "Q4_K_M"), large = write_tiny_model("qwen35moe", "F32");
  for (auto [path, pages] : {std::pair(small, Pages::mmap), {small, Pages::huge}, {large, Pages::huge}}) {
    ModelOptions options;
    options.device = "cpu";
    options.threads = 3;
    options.pages = pages;
    float last = 0;
    bool rising = true;
    const std::thread::id caller = std::this_thread::get_id();
    std::string logged;
    options.progress = [&](float done) {
      rising &= done >= last && std::this_thread::get_id() == caller;
      last = done;
      return true;
    };
    options.log = [&](LogLevel, std::string_view text) { logged += text; };
    Model model = Model::load(path, options).value_or_throw();
    CHECK(rising);
    CHECK(last == Approx(1.0f));
    CHECK_FALSE(logged.empty());
    CHECK(model.pages() == pages);
    CHECK(model.device() == "cpu");
    CHECK(model.tokenizer() == nullptr);
    REQUIRE(model.tokenizer_error());
    CHECK(model.tokenizer_error()->message.find("tokenizer.ggml.model") != std::string::npos);
    for (float limit : {0.0f, 0.5f}) {
      options.progress = [&](float done) { return done < limit; };
      CHECK(error_of(path, options).code == ErrorCode::cancelled);
    }
  }
}

TEST_CASE("logits do not depend on the pages, and split placements agree with ref") {
  std::string path = write_tiny_model("qwen35", "Q8_0");
  std::vector<Token> tokens = {5, 6, 7, 8, 9, 10};
  auto logits = [&](const char* device, Pages pages) {
    ModelOptions options;
    options.device = device;
    options.pages = pages;
    Session session = Session::create(Model::load(path, options).value_or_throw()).value_or_throw();
    session.evaluate(tokens).value_or_throw();
    return std::vector<float>(session.logits().begin(), session.logits().end());
  };
  CHECK(logits("cpu", Pages::mmap) == logits("cpu", Pages::huge));
  auto exact = logits("ref", Pages::mmap);
  CHECK(logits("ref=2,ref", Pages::mmap) == exact);
  CHECK(logits("ref=0,ref", Pages::mmap) == exact);
  CHECK(logits("ref=99,ref", Pages::mmap) == exact);
}

TEST_CASE("a file is summarised without being loaded") {
  std::string path = std::string(STRATA_SOURCE_DIR) + "/examples/models/strata-tiny-q4_k_m.gguf";
  ModelFile file = ModelFile::open(path).value_or_throw();
  ModelSummary summary = file.summary().value_or_throw();
  CHECK(summary.architecture == "qwen35moe");
  CHECK(summary.layers == 4);
  CHECK(summary.mtp_layers == 1);
  CHECK(summary.vocabulary == 2048);
  CHECK(summary.context_length == 2048);
  CHECK(summary.parameters > 8'500'000);
  CHECK(summary.parameters < 9'200'000);
  CHECK(summary.active_parameters < summary.parameters);
  CHECK(summary.kv_bytes_per_token_f16 == 2 * (64 + 64) * 2);  // one attention layer, 2 kv heads of 64
  CHECK(summary.recurrent_bytes == 3 * (4 * 64 * 64 + 3 * (2 * 128 + 256)) * sizeof(float));
  CHECK_FALSE(summary.chat_template.empty());

  bool named = false;
  for (const MetadataEntry& entry : file.metadata())
    if (entry.key == "general.architecture") named = std::get<std::string>(entry.value) == "qwen35moe";
  CHECK(named);
  CHECK(file.tensors().size() > 50);
  auto norm = file.read("output_norm.weight").value_or_throw();
  CHECK(norm.size() == 256);
  auto missing = file.read("blk.9.nothing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::not_found);
}

}  // namespace
