// Owns: files that lie: each known way to attack a GGUF loader, and each rule of the format broken once. Knows the file
// layout and gguf's reader.
#include <cstdint>
#include <string>

#include "gguf/bytes.h"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// Opening the bytes fails, and the message has all these parts.
template <class... Parts>
void refused(const TempFolder& folder, const Bytes& bytes, const Parts&... parts) {
  const std::string message = bytes_error(folder, bytes.data);
  INFO("message: " << message);
  REQUIRE(!message.empty());
  for (const std::string& part : {std::string(parts)...}) {
    INFO("wanted: " << part);
    CHECK(contains(message, part));
  }
}

}  // namespace

TEST_CASE("what is no GGUF file is refused with its reason", "[gguf][hostile]") {
  TempFolder folder;
  refused(folder, Bytes{}, "the file is empty");
  refused(folder, Bytes{"GG"}, "header at byte 0", "the file ends at byte 2");
  refused(folder, Bytes{"GGUF"}, "header at byte 4", "the file ends at byte 4");
  refused(folder, Bytes{"# A text file\nof two lines\n"}, "not a GGUF file", "\"# A \"");
  refused(folder, Bytes{"a\n\x01\xff rest"}, "not a GGUF file", "\"a\\x0a\\x01\\xff\"");
  refused(folder, Bytes{"version https://git-lfs.github.com/spec/v1\noid sha256:1234\n"}, "Git LFS pointer");
  refused(folder, Bytes{}.header(0, 0, 0), "version 0");
  refused(folder, Bytes{}.header(0, 0, 1), "version 1;", "convert");
  refused(folder, Bytes{}.header(0, 0, 4), "version 4;", "versions 2 and 3");
  refused(folder, Bytes{}.header(0, 0, 0x03000000), "big-endian");
  const auto missing = open_error(folder / "missing.gguf");
  CHECK(contains(missing, "no such file"));
  CHECK(contains(open_error(folder / ""), "directory"));
  CHECK(!gguf::File::open("").ok());
  CHECK(bytes_error(folder, Bytes{}.header(0, 0).data) == "");
}

TEST_CASE("counts beyond the file are refused before anything is allocated", "[gguf][hostile]") {
  TempFolder folder;
  for (std::uint64_t count : {kAll, kAll / 2, kAll / 8 + 1, std::uint64_t{1} << 40, std::uint64_t{2}}) {
    INFO("count: " << count);
    refused(folder, Bytes{}.header(count, 0), "tensors does not fit");  // CVE-2024-21836
    refused(folder, Bytes{}.header(0, count), "keys does not fit");     // CVE-2024-23605
    for (std::uint32_t type : {kU8, kBool, kI16, kF32, kF64, kString})  // CVE-2024-21825
      refused(folder, Bytes{}.header(0, 1).array("list", type, count).u8(0), "key list at byte", "elements", "does not fit");
    const auto text = Bytes{}.header(0, 1).key("text", kString).u64(count).u8(0);  // CVE-2024-23496
    refused(folder, text, "key text at byte", "the file ends at byte");
    const auto texts = Bytes{}.header(0, 1).array("texts", kString, 1).u64(count).u8(0);
    refused(folder, texts, "key texts at byte", "the file ends at byte");
  }
  refused(folder, Bytes{}.header(0, 1).u64(kAll).zeros(20), "key 1 at byte 24", "has 18446744073709551615 bytes");
  refused(folder, Bytes{}.header(0, 1).u64(65536).zeros(70000), "key 1 at byte 24", "65536");
  refused(folder, Bytes{}.header(1, 0).u64(kAll).zeros(40), "tensor 1 at byte 24", "has 18446744073709551615 bytes");
}

TEST_CASE("keys must be named, unique and of a known type", "[gguf][hostile]") {
  TempFolder folder;
  // The 37-byte file that made other loaders abort.
  const Bytes empty_key = Bytes{}.header(0, 1).key("", kU8).u8(1);
  REQUIRE(empty_key.data.size() == 37);
  refused(folder, empty_key, "key 1 at byte 24: the key is empty");
  refused(folder, Bytes{}.header(0, 2).key("a", kU8).u8(1).key("", kU8).u8(1), "key 2 at byte 38: the key is empty");
  const auto twice = Bytes{}.header(0, 2).key("a.b", kU8).u8(1).key("a.b", kU32).u32(1);
  refused(folder, twice, "key a.b at byte 40", "second time", "byte 24");
  refused(folder, Bytes{}.header(0, 1).key("k", 13).u64(0), "key k at byte 33", "type number 13 is unknown");
  refused(folder, Bytes{}.header(0, 1).key("k", 0xffffffff).u64(0), "type number 4294967295");
  refused(folder, Bytes{}.header(0, 1).array("k", 13, 0), "key k", "element type number 13");
  refused(folder, Bytes{}.header(0, 1).array("k", kArray, 0), "key k", "array of arrays");
  refused(folder, Bytes{}.header(0, 1).array("k", kArray, 1).u32(kArray).u64(1), "array of arrays");
  refused(folder, Bytes{}.header(0, 1).key("b", kBool).u8(2), "key b at byte 37", "value 2");
  refused(folder, Bytes{}.header(0, 1).array("b", kBool, 3).u8(1).u8(0).u8(255), "key b at byte 51", "value 255");
  refused(folder, Bytes{}.header(0, 1).key("line\nbreak \\ \x7f", 99).u64(0), "key line\\x0abreak \\x5c \\x7f at");
  const std::string longest(65535, 'k');
  CHECK(bytes_error(folder, Bytes{}.header(0, 1).key(longest, kU8).u8(1).data) == "");
  const std::string shortened = bytes_error(folder, Bytes{}.header(0, 1).key(longest, 99).u64(0).data);
  CHECK(shortened.size() < 200);
  CHECK(contains(shortened, "kkk..."));
}

TEST_CASE("alignment is a power of two from 8 to 1 MiB", "[gguf][hostile]") {
  TempFolder folder;
  const auto with = [](std::uint64_t alignment) { return Bytes{}.header(0, 1).key("general.alignment", kU64).u64(alignment); };
  for (std::uint64_t wrong : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4}, std::uint64_t{12}, std::uint64_t{33},
                              std::uint64_t{1} << 21, std::uint64_t{0x80000000}, std::uint64_t{1} << 63, kAll})
    refused(folder, with(wrong), "key general.alignment at byte", "powers of two");
  for (std::uint64_t right : {8u, 16u, 64u, 1u << 20}) CHECK(bytes_error(folder, with(right).data) == "");
  CHECK(bytes_error(folder, Bytes{}.header(0, 1).key("general.alignment", kU32).u32(64).data) == "");
  CHECK(bytes_error(folder, Bytes{}.header(0, 1).key("general.alignment", kI32).u32(64).data) == "");
  refused(folder, Bytes{}.header(0, 1).key("general.alignment", kI32).u32(0xffffffc0), "general.alignment", "positive integer");
  refused(folder, Bytes{}.header(0, 1).key("general.alignment", kF32).put(32.0f), "general.alignment", "type f32");
  refused(folder, Bytes{}.header(0, 1).key("general.alignment", kString).text("32"), "general.alignment", "type string");
  refused(folder, Bytes{}.header(0, 1).array("general.alignment", kU32, 1).u32(32), "general.alignment", "type array");
  refused(folder, Bytes{}.header(0, 1).array("general.alignment", kString, 0), "general.alignment", "type array");
}

TEST_CASE("tensor records are checked", "[gguf][hostile]") {
  TempFolder folder;
  const auto one = [](std::vector<std::uint64_t> ne, std::uint32_t type, std::uint64_t offset = 0) {
    return Bytes{}.header(1, 0).tensor("blk.0.w", ne, type, offset).pad().zeros(256);
  };
  CHECK(bytes_error(folder, one({8, 8}, 0).data) == "");
  CHECK(bytes_error(folder, one({2, 2, 2, 2}, 0).data) == "");
  refused(folder, one({}, 0), "tensor blk.0.w at byte 39", "0 dimensions");
  refused(folder, one({1, 1, 1, 1, 1}, 0), "tensor blk.0.w", "5 dimensions");  // CVE-2024-21802
  refused(folder, Bytes{}.header(1, 0).text("w").u32(0xffffffff).zeros(400), "tensor w", "4294967295 dimensions");
  refused(folder, one({0}, 0), "tensor blk.0.w", "dimension 0 is 0");
  refused(folder, one({4, 0}, 0), "dimension 1 is 0");
  refused(folder, one({31}, 2), "tensor blk.0.w", "dimension 0 is 31", "32 elements", "Q4_0");
  refused(folder, one({32, 7}, 12), "dimension 0 is 32", "256 elements", "Q4_K");
  for (std::uint32_t type : {4u, 5u, 31u, 38u, 43u, 77u, 0xffffffffu})
    refused(folder, one({1}, type), "tensor blk.0.w", "type number " + std::to_string(type) + " names");
  refused(folder, one({1}, 0, 8), "tensor blk.0.w", "offset 8", "alignment 32");
  refused(folder, Bytes{}.header(1, 0).tensor("", {1}, 0, 0).pad().zeros(64), "tensor 1 at byte 24", "name is empty");
  refused(folder, Bytes{}.header(1, 0).tensor(std::string(65, 'n'), {1}, 0, 0).pad().zeros(64), "tensor 1", "65 bytes");
  CHECK(bytes_error(folder, Bytes{}.header(1, 0).tensor(std::string(64, 'n'), {1}, 0, 0).pad().zeros(64).data) == "");
  const auto twice = Bytes{}.header(2, 0).tensor("same", {1}, 0, 0).tensor("same", {1}, 0, 32).pad().zeros(64);
  refused(folder, twice, "tensor same at byte 60", "second time", "byte 24");
}

TEST_CASE("sizes that wrap are refused", "[gguf][hostile]") {
  TempFolder folder;
  const auto one = [](std::vector<std::uint64_t> ne, std::uint32_t type, std::uint64_t offset = 0) {
    return Bytes{}.header(1, 0).tensor("w", ne, type, offset).pad().zeros(256);
  };
  const std::uint64_t two32 = std::uint64_t{1} << 32;
  refused(folder, one({two32, two32}, 24), "tensor w", "2^63");
  refused(folder, one({two32, two32, two32, two32}, 24), "2^63");
  refused(folder, one({kAll}, 24), "2^63");
  refused(folder, one({std::uint64_t{1} << 63}, 24), "2^63");
  refused(folder, one({std::uint64_t{1} << 62}, 28), "more than 2^63 bytes");               // elements fit, bytes do not
  refused(folder, one({(std::uint64_t{1} << 42) + 1, std::uint64_t{1} << 20}, 0), "2^63");  // CVE-2026-33298
  refused(folder, one({(std::uint64_t{1} << 42) + 1}, 0), "data ends at byte");
  // Two sizes whose padded sum wraps to almost nothing: CVE-2025-53630, CVE-2026-27940.
  const std::uint64_t half = 0x7fffffffffffffc0;
  const auto wrapping = Bytes{}.header(2, 0).tensor("a", {half}, 24, 0).tensor("b", {half}, 24, half).pad().zeros(256);
  refused(folder, wrapping, "tensor a", "data ends at byte");
  refused(folder, one({64}, 24, 0xffffffffffffffe0), "tensor w", "largest possible file");
  refused(folder, one({64}, 24, 0x7fffffffffffffe0), "tensor w", "data ends at byte", "the file at byte");
}

TEST_CASE("tensor data lie inside the file and apart", "[gguf][hostile]") {
  TempFolder folder;
  // The header of two tensors named a and b takes 90 bytes, so data start at byte 96.
  const auto two = [](std::uint64_t first, std::uint64_t second, std::size_t data) {
    Bytes bytes;
    bytes.header(2, 0).tensor("a", {16}, 0, first).tensor("b", {16}, 0, second).pad();
    REQUIRE(bytes.data.size() == 96);
    return bytes.zeros(data);
  };
  CHECK(bytes_error(folder, two(0, 64, 128).data) == "");
  CHECK(bytes_error(folder, two(64, 0, 128).data) == "");  // any order
  CHECK(bytes_error(folder, two(0, 96, 160).data) == "");  // a gap
  refused(folder, two(0, 64, 127), "tensor b at byte 57: data ends at byte 224, the file at byte 223");
  refused(folder, two(128, 64, 128), "tensor a at byte 24: data ends at byte 288");
  refused(folder, two(0, 0, 128), "tensor b", "overlaps tensor a");
  refused(folder, two(0, 32, 128), "tensor b at byte 57: data at byte 128 overlaps tensor a, which ends at byte 160");
  refused(folder, two(32, 0, 128), "tensor a at byte 24", "overlaps tensor b");
  // No data at all: the section may even be missing where there are no tensors.
  refused(folder, Bytes{}.header(1, 0).tensor("w", {1}, 0, 0), "tensor w", "data ends at byte");
  CHECK(bytes_error(folder, Bytes{}.header(0, 1).key("k", kU8).u8(1).data) == "");
}

TEST_CASE("a header may not take more than a gibibyte", "[gguf][hostile]") {
  TempFolder folder;
  // Sparse: takes no disk. One string that the file holds, but no sane header.
  const std::uint64_t length = (std::uint64_t{1} << 30) + 5;
  const std::string path = folder.put("sparse.gguf", Bytes{}.header(0, 1).key("text", kString).u64(length).data);
  std::filesystem::resize_file(path, length + 4096);
  const auto message = open_error(path);
  CHECK(contains(message, "key text at byte"));
  CHECK(contains(message, "1073741824 bytes a header may have"));
}

TEST_CASE("version 2 has the layout of version 3", "[gguf]") {
  TempFolder folder;
  Bytes bytes = Bytes{}.header(1, 1, 2).key("answer", kU32).u32(42).tensor("w", {8}, 0, 0).pad().zeros(32);
  const auto opened = gguf::File::open(folder.put("v2.gguf", bytes.data));
  REQUIRE(opened.ok());
  CHECK((*opened)->version() == 2);
  CHECK((*opened)->find("answer")->as_unsigned() == 42u);
  CHECK((*opened)->find_tensor("w")->offset == bytes.data.size() - 32);
}
