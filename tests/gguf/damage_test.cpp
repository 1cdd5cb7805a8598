// Owns: a right file cut short at every byte and damaged at every byte: never a crash, always a reason. Knows the file
// layout and gguf's reader.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gguf/bytes.h"
#include "gguf/writer.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::test;

namespace {

/// One of everything, in about 1.3 KB.
std::string right_file(const TempFolder& folder) {
  gguf::Writer writer;
  writer.set_alignment(64);
  writer.set("u8", std::uint8_t{1});
  writer.set("i16", std::int16_t{-2});
  writer.set("f64", 0.5);
  writer.set("flag", true);
  writer.set("text", std::string("some text"));
  writer.set("flags", gguf::Flags{{1, 0}});
  writer.set("texts", std::vector<std::string>{"a", "", "third"});
  writer.set("numbers", std::vector<std::uint32_t>{1, 2, 3});
  const gguf::TensorSource zeros = [](std::uint64_t, std::span<std::byte> out) -> Result<void> {
    std::fill(out.begin(), out.end(), std::byte{7});
    return {};
  };
  writer.add({"blk.0.q4.weight", TensorType::q4_0, {32, 3}, zeros});
  writer.add({"blk.0.norm", TensorType::f32, {2, 3, 4}, zeros});
  writer.add({"end", TensorType::q6_k, {256, 2}, zeros});
  const std::string path = folder / "right.gguf";
  REQUIRE(writer.write(path).ok());
  return read_text(path);
}

/// Touches all that an opened file offers, so that a sanitizer sees a view that leads astray.
std::uint64_t touch(const gguf::File& file) {
  std::uint64_t sum = 0;
  const auto value_sum = [&](const gguf::Value& value) {
    sum += value.as_unsigned().value_or(1) + static_cast<std::uint64_t>(value.as_signed().value_or(1));
    sum += value.as_bool().value_or(true) + (value.as_float().value_or(1) > 0);
    for (char c : value.as_string().value_or("")) sum += static_cast<unsigned char>(c);
  };
  for (const gguf::Entry& entry : file.metadata()) {
    for (char c : entry.key) sum += static_cast<unsigned char>(c);
    value_sum(entry.value);
    if (entry.value.type() == gguf::ValueType::array)
      for (std::uint64_t i = 0; i < entry.value.count(); ++i) value_sum(entry.value.element(i));
    CHECK(file.find(entry.key) == &entry.value);
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    for (std::byte b : file.mapped(tensor)) sum += static_cast<unsigned>(b);
    std::vector<std::byte> bytes(tensor.bytes);
    CHECK(file.read(tensor, 0, bytes).ok());
    CHECK(file.find_tensor(tensor.name) == &tensor);
  }
  return sum;
}

}  // namespace

TEST_CASE("a file cut short at any byte is refused", "[gguf][hostile]") {
  TempFolder folder;
  const std::string right = right_file(folder);
  REQUIRE(bytes_error(folder, right) == "");
  // The last tensor ends before its padding does.
  const auto opened = gguf::File::open(folder / "right.gguf");
  REQUIRE(opened.ok());
  const gguf::Tensor& last = (*opened)->tensors().back();
  const std::uint64_t needed = last.offset + last.bytes;
  REQUIRE(needed < right.size());
  const std::string path = folder.put("cut.gguf", right);
  for (std::size_t length = right.size(); length-- > 0;) {
    INFO("length: " << length);
    std::filesystem::resize_file(path, length);
    CHECK(open_error(path).empty() == (length >= needed));
  }
}

TEST_CASE("a file damaged at any byte is refused or read, with no harm", "[gguf][hostile]") {
  TempFolder folder;
  const std::string right = right_file(folder);
  const auto opened = gguf::File::open(folder / "right.gguf");
  REQUIRE(opened.ok());
  CHECK(touch(**opened) > 0);
  const std::size_t header = (*opened)->tensors()[0].offset;
  REQUIRE(header < 1000);
  int refused = 0;
  const std::string path = folder.put("wrong.gguf", right);
  std::fstream wrong(path, std::ios::binary | std::ios::in | std::ios::out);
  const auto put = [&](std::size_t at, char byte) { wrong.seekp(static_cast<std::streamoff>(at)).put(byte).flush(); };
  for (std::size_t at = 0; at < header; ++at) {
    for (unsigned change : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      put(at, static_cast<char>(right[at] ^ static_cast<char>(change)));
      for (bool map : {true, false}) {
        const auto damaged = gguf::File::open(path, {.map = map});
        if (damaged) touch(**damaged);
        else ++refused;
      }
    }
    put(at, right[at]);
  }
  CHECK(wrong.good());
  CHECK(bytes_error(folder, read_text(path)) == "");
  // Names, values and padding may change unseen; counts, lengths, types and offsets are most of a header.
  CHECK(refused > 4000);
}

TEST_CASE("a file cut short after it was opened gives an error on read", "[gguf][hostile]") {
  TempFolder folder;
  right_file(folder);
  const std::string path = folder / "right.gguf";
  const auto opened = gguf::File::open(path, {.map = false});
  REQUIRE(opened.ok());
  const gguf::Tensor* tensor = (*opened)->find_tensor("end");
  REQUIRE(tensor != nullptr);
  std::filesystem::resize_file(path, tensor->offset + 10);
  std::vector<std::byte> bytes(tensor->bytes);
  CHECK((*opened)->read(*tensor, 0, std::span(bytes).first(10)).ok());
  const auto failed = (*opened)->read(*tensor, 0, bytes);
  REQUIRE(!failed.ok());
  CHECK(failed.error().code == ErrorCode::io);
  CHECK(contains(failed.error().message, path));
  CHECK(contains(failed.error().message, "tensor end"));
}
