// Owns: the tests of files of random weights. Knows the public API.
#include <map>

#include "gguf/bytes.h"
#include "strata/file.h"

using namespace strata;
using namespace strata::test;

namespace {

std::map<std::string, int> types(const std::string& path) {
  std::map<std::string, int> out;
  for (const TensorEntry& tensor : ModelFile::open(path).value_or_throw().tensors()) ++out[tensor.type];
  return out;
}

}  // namespace

TEST_CASE("random models have the shape that was asked for", "[rewrite]") {
  TempFolder folder;
  MakeModelOptions options;
  options.like = "llama-1b";
  options.type = "Q4_K_M";
  options.out = folder / "llama-1b.gguf";
  int calls = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) { return ++calls, done <= total; };
  make_model(options).value_or_throw();
  CHECK(calls > 0);
  auto summary = ModelFile::open(options.out).value_or_throw().summary().value_or_throw();
  CHECK(summary.architecture == "llama");
  CHECK(summary.parameters == 1'123'117'056);
  CHECK(std::filesystem::file_size(options.out) / 1'000'000 == 682);
  CHECK(types(options.out) == std::map<std::string, int>{{"F32", 45}, {"Q4_K", 135}, {"Q6_K", 21}});
  std::filesystem::remove(options.out);

  options.like = "llama-9t";
  auto unknown = make_model(options);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("llama-1b") != std::string::npos);
  options.like = "llama-1b";
  options.type = "Q9_X";
  CHECK_FALSE(make_model(options));
  options.type = "Q8_0";
  options.progress = [](std::uint64_t, std::uint64_t) { return false; };
  auto cancelled = make_model(options);
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().code == ErrorCode::cancelled);
  CHECK_FALSE(std::filesystem::exists(options.out));
}
