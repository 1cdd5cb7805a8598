// Owns: the tests of `split` and `merge`. Knows the public API and bytes of files.
#include <numeric>

#include "gguf/bytes.h"
#include "gguf/writer.h"
#include "strata/quantize.h"

using namespace strata;
using namespace strata::test;

namespace {

/// A file of five tensors of 1024, 2048 ... bytes and metadata of several types.
std::string some_model(const TempFolder& folder, std::uint32_t alignment = 32) {
  gguf::Writer writer;
  writer.set("general.architecture", std::string("llama"));
  writer.set("llama.block_count", std::uint32_t{1});
  writer.set("some.flags", gguf::Flags{{0, 1, 1}});
  writer.set("some.texts", std::vector<std::string>{"a", "", "\n\xff"});
  writer.set("some.number", -1.5);
  writer.set_alignment(alignment);
  for (std::uint64_t t = 1; t <= 5; ++t)
    writer.add({"t" + std::to_string(t), TensorType::f32, {32, 8, t}, [t](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
                  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>((offset + i) * 7 + t);
                  return {};
                }});
  const std::string path = folder / "model.gguf";
  REQUIRE(writer.write(path).ok());
  return path;
}

SplitOptions limits(std::uint64_t bytes, std::uint64_t tensors = 0) {
  SplitOptions options;
  options.max_bytes = bytes;
  options.max_tensors = tensors;
  return options;
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::uint64_t> tensors(const std::vector<WrittenFile>& files) {
  std::vector<std::uint64_t> out;
  for (const WrittenFile& file : files) out.push_back(file.tensors);
  return out;
}

}  // namespace

TEST_CASE("what was split and merged is the same file", "[rewrite][split]") {
  const std::uint32_t alignment = GENERATE(32u, 256u);
  TempFolder folder;
  const std::string path = some_model(folder, alignment);
  const auto options = GENERATE(limits(3072), limits(0, 2), limits(1), limits(4096, 1), limits(1 << 30));
  const auto files = split(path, folder / "part", options);
  REQUIRE(files.ok());
  CHECK(std::accumulate(files->begin(), files->end(), std::uint64_t{0}, [](auto sum, auto& f) { return sum + f.tensor_bytes; }) == 15 * 1024);
  CHECK(folder.names().size() == files->size() + 1);
  const auto merged = merge(files->front().path, folder / "merged.gguf");
  REQUIRE(merged.ok());
  CHECK(merged->tensors == 5);
  CHECK(read(folder / "merged.gguf") == read(path));
}

TEST_CASE("limits of a split", "[rewrite][split]") {
  TempFolder folder;
  const std::string path = some_model(folder);
  const auto plan = [&](SplitOptions options) {
    options.dry_run = true;
    const auto files = split(path, folder / "part", options);
    REQUIRE(files.ok());
    CHECK(folder.names().size() == 1);
    return tensors(*files);
  };
  CHECK(plan(limits(3072)) == std::vector<std::uint64_t>{2, 1, 1, 1});
  CHECK(plan(limits(3071)) == std::vector<std::uint64_t>{1, 1, 1, 1, 1});
  CHECK(plan(limits(6144)) == std::vector<std::uint64_t>{3, 1, 1});
  CHECK(plan(limits(0, 2)) == std::vector<std::uint64_t>{2, 2, 1});
  CHECK(plan(limits(6144, 2)) == std::vector<std::uint64_t>{2, 1, 1, 1});
  const auto files = [&] {
    SplitOptions four = limits(0, 4);
    four.dry_run = true;
    return split(path, folder / "part", four);
  }();
  CHECK(files->at(1).path == folder / "part-00002-of-00002.gguf");
  CHECK(files->at(1).tensor_bytes == 5 * 1024);
}

TEST_CASE("split and merge refuse what cannot work, and leave nothing", "[rewrite][split]") {
  TempFolder folder;
  const std::string path = some_model(folder);
  const auto error = [&](const auto& result) {
    REQUIRE(!result.ok());
    CHECK(folder.names().size() == 1);
    return result.error().message;
  };
  CHECK(contains(error(split(path, folder / "part", {})), "no limit"));
  CHECK(contains(error(split(path, "", limits(0, 1))), "no prefix"));
  CHECK(contains(error(split(folder / "none.gguf", folder / "part", limits(0, 1))), "no such file"));
  CHECK(contains(error(split(path, folder / "no/part", limits(0, 1))), "no/part"));
  CHECK(contains(error(merge(path, path)), "is the file that is read"));
  CHECK(contains(error(merge(path, "")), "no name"));
  const auto stop = [](double share) { return share < 0.5; };
  SplitOptions stopped = limits(0, 1);
  stopped.progress = stop;
  CHECK(contains(error(split(path, folder / "part", stopped)), "cancelled"));
  CHECK(contains(error(merge(path, folder / "out.gguf", false, stop)), "cancelled"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  CHECK(contains(error(merge(path, folder / "out.gguf")), "model.gguf"));
}

TEST_CASE("merging over a file of the split is refused", "[rewrite][split]") {
  TempFolder folder;
  const auto files = split(some_model(folder), folder / "part", limits(0, 2));
  REQUIRE(files.ok());
  const auto merged = merge(files->front().path, files->at(1).path);
  REQUIRE(!merged.ok());
  CHECK(contains(merged.error().message, "is the file that is read"));
  const auto second = merge(files->at(1).path, folder / "out.gguf");
  REQUIRE(!second.ok());
  CHECK(contains(second.error().message, "open " + files->front().path));
}
