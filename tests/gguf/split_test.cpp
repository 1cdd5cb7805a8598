// Owns: split models with a file missing, changed, renamed or of another model. Knows the naming and the keys of splits.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gguf/bytes.h"

using namespace strata;
using namespace strata::test;

namespace {

/// One file of a split, with one tensor of 32 bytes.
Bytes part(std::uint16_t number, std::uint16_t count, std::int32_t tensors, const std::string& tensor) {
  return Bytes{}.header(1, 3).key("split.no", kU16).put(number).key("split.count", kU16).put(count)
      .key("split.tensors.count", kI32).put(tensors).tensor(tensor, {8}, 0, 0).pad().zeros(32);
}

/// A right split of three.
struct Split {
  TempFolder folder;
  std::string paths[3];
  Split() {
    for (std::uint16_t i = 0; i < 3; ++i) put(i, part(i, 3, 3, std::string(1, static_cast<char>('a' + i))));
  }
  void put(int i, const Bytes& bytes) {
    paths[i] = folder.put("m-0000" + std::to_string(i + 1) + "-of-00003.gguf", bytes.data);
  }
  std::string error() {
    const auto mapped = gguf::File::open(paths[0]);
    const auto plain = gguf::File::open(paths[0], {.map = false});
    REQUIRE(mapped.ok() == plain.ok());
    if (mapped) return "";
    CHECK(mapped.error().message == plain.error().message);
    CHECK(!contains(mapped.error().message, "\n"));
    return mapped.error().message;
  }
};

}  // namespace

TEST_CASE("a split opens by its first file", "[gguf][split]") {
  Split split;
  const auto opened = gguf::File::open(split.paths[0]);
  REQUIRE(opened.ok());
  CHECK((*opened)->shards() == 3);
  REQUIRE((*opened)->tensors().size() == 3);
  for (int i = 0; i < 3; ++i) {
    CHECK((*opened)->tensors()[i].shard == i);
    CHECK((*opened)->tensors()[i].name == std::string(1, static_cast<char>('a' + i)));
    CHECK((*opened)->mapped((*opened)->tensors()[i]).size() == 32);
  }
}

TEST_CASE("another file of a split names the first one", "[gguf][split]") {
  Split split;
  for (int i : {1, 2}) {
    const auto message = open_error(split.paths[i]);
    CHECK(contains(message, "file " + std::to_string(i + 1) + " of 3"));
    CHECK(contains(message, "open " + split.paths[0]));
  }
}

TEST_CASE("a split with a file missing or cut names that file", "[gguf][split]") {
  Split split;
  std::filesystem::resize_file(split.paths[2], 100);
  CHECK(contains(split.error(), split.paths[2] + ": "));
  std::filesystem::remove(split.paths[1]);
  const auto message = split.error();
  CHECK(contains(message, split.paths[1] + ": no such file"));
  CHECK(contains(message, split.paths[0]));
}

TEST_CASE("files of a split must agree", "[gguf][split]") {
  Split split;
  SECTION("number") {
    split.put(1, part(2, 3, 3, "b"));
    CHECK(contains(split.error(), split.paths[1] + ": says it is file 3 of 3"));
  }
  SECTION("count") {
    split.put(1, part(1, 4, 3, "b"));
    CHECK(contains(split.error(), split.paths[1] + ": says it is file 2 of 4"));
  }
  SECTION("tensors in all") {
    split.put(2, part(2, 3, 4, "c"));
    CHECK(contains(split.error(), "with 4 tensors in all"));
  }
  SECTION("no split at all") {
    split.put(2, Bytes{}.header(1, 0).tensor("c", {8}, 0, 0).pad().zeros(32));
    CHECK(contains(split.error(), split.paths[2] + ": says it is file 1 of 1"));
  }
  SECTION("a tensor twice") {
    split.put(2, part(2, 3, 3, "b"));
    const auto message = split.error();
    CHECK(contains(message, split.paths[2] + ": tensor b: is also in " + split.paths[1]));
  }
  SECTION("fewer tensors than promised") {
    for (std::uint16_t i = 0; i < 3; ++i) split.put(i, part(i, 3, 4, std::string(1, static_cast<char>('a' + i))));
    const auto message = split.error();
    CHECK(contains(message, "split.tensors.count: is 4"));
    CHECK(contains(message, "3 tensors"));
  }
}

TEST_CASE("split keys are checked", "[gguf][split]") {
  Split split;
  const auto first = [&](const Bytes& bytes) {
    split.put(0, bytes);
    return split.error();
  };
  CHECK(contains(first(part(0, 0, 3, "a")), "split.count: is 0"));
  CHECK(contains(first(part(3, 3, 3, "a")), "split.no: is 3"));
  CHECK(contains(first(part(0, 3, -1, "a")), "split.tensors.count"));
  CHECK(contains(first(Bytes{}.header(0, 1).key("split.count", kU16).put(std::uint16_t{3})), "split.no is missing"));
  CHECK(contains(first(Bytes{}.header(0, 1).key("split.count", kString).text("3")), "split.count"));
  CHECK(contains(first(Bytes{}.header(0, 3).key("split.no", kU64).u64(0).key("split.count", kU64).u64(~0ull)
                           .key("split.tensors.count", kU64).u64(0)), "split.count: is 18446744073709551615"));
}

TEST_CASE("a renamed file of a split asks for its name", "[gguf][split]") {
  Split split;
  const std::string renamed = split.folder / "model.gguf";
  std::filesystem::copy_file(split.paths[0], renamed);
  const auto message = open_error(renamed);
  CHECK(contains(message, "file 1 of 3"));
  CHECK(contains(message, "-00001-of-00003.gguf"));
}

TEST_CASE("a split of one file may have any name", "[gguf][split]") {
  TempFolder folder;
  CHECK(open_error(folder.put("any.gguf", part(0, 1, 1, "a").data)) == "");
  CHECK(contains(open_error(folder.put("any.gguf", part(0, 1, 2, "a").data)), "split.tensors.count: is 2"));
}
