// Owns: the fuzzer of saved sessions: any bytes either load or are refused, and a refusal leaves the session as it was.
// Knows the public API, and the checksums of the file, to get past them.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "strata/strata.h"
#include "support/tiny_model.h"

using namespace strata;

namespace {

/// libFuzzer counts a trap as a finding and keeps the input.
void require(bool condition) {
  if (!condition) __builtin_trap();
}

std::string path_of(const char* name) {
  return (std::filesystem::temp_directory_path() / ("strata-fuzz-" + std::to_string(::getpid()) + "-" + name)).string();
}

constexpr int kContext = 256;

struct Fixture {
  Model model;
  Session session;
  std::string good;  ///< a saved session with states or windows, snapshots and logits

  static Fixture make(const char* architecture) {
    ModelOptions options;
    options.device = "cpu";
    options.threads = 1;
    Model model = Model::load(test::write_tiny_model(architecture, "Q8_0"), options).value_or_throw();
    Session session = Session::create(model, {kContext, 64, 2}).value_or_throw();
    Sampler sampler;
    GenerateOptions generate;
    generate.max_tokens = 3;
    session.generate(std::vector<Token>(200, 7), sampler, generate).value_or_throw();
    const std::string path = path_of("good");
    session.save(path).value_or_throw();
    std::ifstream in(path, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(in), {});
    std::filesystem::remove(path);
    return {model, std::move(session), std::move(bytes)};
  }
};

/// Makes both checksums true for what the bytes say.
void mend(std::string& bytes) {
  constexpr std::size_t kHeader = 76;
  auto put = [&](std::size_t at) {
    Checksum sum;
    sum.add(std::as_bytes(std::span(bytes.data(), at)));
    const std::uint64_t value = sum.value();
    for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  };
  if (bytes.size() < kHeader + 16) return;
  put(kHeader);
  put(bytes.size() - 8);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::array<Fixture, 2> fixtures = {Fixture::make("qwen35"), Fixture::make("gemma3")};
  if (size < 1) return 0;
  Fixture& fixture = fixtures[data[0] / 3 % 2];
  const int mode = data[0] % 3;
  std::string bytes = mode == 0 ? std::string(reinterpret_cast<const char*>(data) + 1, size - 1) : fixture.good;
  if (mode != 0) {
    for (std::size_t at = 1; at + 4 <= size; at += 4) {  // three bytes say where, one what; the beginning is reached more often
      const std::size_t where = data[at] | std::size_t{data[at + 1]} << 8 | std::size_t{data[at + 2]} << 16;
      const std::size_t limit = where % 2 ? std::min<std::size_t>(bytes.size(), 600) : bytes.size();
      bytes[where / 2 % limit] = static_cast<char>(data[at + 3]);
    }
    if (mode == 2) mend(bytes);
  }
  static const std::string path = [] {
    std::atexit([] { std::filesystem::remove(path_of("input")); });
    return path_of("input");
  }();
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  Session& session = fixture.session;
  const std::vector<Token> tokens(session.tokens().begin(), session.tokens().end());
  const std::vector<float> logits(session.logits().begin(), session.logits().end());
  if (auto loaded = session.load(path); !loaded) {
    require(loaded.error().message.find('\n') == std::string::npos);
    require(std::ranges::equal(session.tokens(), tokens));
    require(session.logits().size() == logits.size() &&
            (logits.empty() || std::memcmp(session.logits().data(), logits.data(), logits.size() * sizeof(float)) == 0));
    return 0;
  }
  const Token next[] = {3};
  if (session.tokens().size() < kContext) require(session.evaluate(next).ok());
  require(session.truncate(static_cast<int>(session.tokens().size() / 2)).ok());
  return 0;
}
