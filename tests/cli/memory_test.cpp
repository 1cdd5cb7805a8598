// Owns: the test of the memory that `run` takes. Knows the program and the models that it makes, no header of strata.
#include <nlohmann/json.hpp>

#include "cli/program.h"

using namespace program;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

TEST_CASE("run takes the file, the cache and 128 MiB; from a mapped file, the cache and 128 MiB") {
  if (kSanitized) return;  // sanitizers take more
  const std::string model = (scratch() / "memory.gguf").string();
  REQUIRE(call({"make-model", "--like", "llama-1b", "--layers", "4", "--type", "Q4_0", "--out", model}).code == 0);
  constexpr std::uint64_t rest = std::uint64_t{128} << 20, context = 1024;
  constexpr std::uint64_t cache = context * 4 /* layers */ * 2 /* keys, values */ * 8 * 64 * 2 /* bytes */;
  std::string prompt = "300";
  for (int i = 1; i < 600; ++i) prompt += "," + std::to_string(300 + i * 7 % 5000);
  const std::vector<std::string> run = {"run", "-m", model, "--device", "cpu", "--ctx", std::to_string(context), "--prompt-tokens", prompt,
                                        "-n", "4", "--ignore-eos", "--temp", "0", "--json", "--threads", "2", "--pages"};
  auto with = [&](const char* pages) {
    std::vector<std::string> words = run;
    words.push_back(pages);
    return words;
  };
  for (const char* pages : {"huge", "mmap"}) {
    CAPTURE(pages);
    const Outcome o = call(with(pages));
    REQUIRE(o.code == 0);
    CHECK(nlohmann::json::parse(o.out)["peak_memory"].get<std::uint64_t>() < std::filesystem::file_size(model) + cache + rest);
  }
  // The system itself refuses more memory that is of no file.
  const std::string limit = "ulimit -d " + std::to_string((cache + rest) / 1024) + ";";
  CHECK(call(with("mmap"), {}, limit).code == 0);
  CHECK(call(with("huge"), {}, limit).code != 0);  // the weights alone are more
  std::filesystem::remove(model);
}
