// Owns: tests that what the writer writes comes back, mapped and unmapped. Knows gguf's reader and writer.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/text.h"
#include "gguf/bytes.h"
#include "gguf/writer.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::gguf;
using test::TempFolder;
using test::contains;

namespace {

/// Bytes that differ from place to place and from tensor to tensor.
std::byte pattern(std::uint64_t i, unsigned seed) { return static_cast<std::byte>((i * 131 + (i >> 8) * 17 + seed * 29) & 0xff); }

TensorSource pattern_source(unsigned seed) {
  return [seed](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = pattern(offset + i, seed);
    return {};
  };
}

bool has_pattern(std::span<const std::byte> bytes, std::uint64_t offset, unsigned seed) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != pattern(offset + i, seed)) return false;
  return true;
}

struct Planned {
  const char* name;
  TensorType type;
  std::vector<std::uint64_t> ne;
  std::uint64_t bytes;
};

const std::vector<Planned> kTensors = {
    {"token_embd.weight", TensorType::q4_k, {512, 40}, 2 * 144 * 40}, {"one", TensorType::f32, {1}, 4},
    {"blk.0.attn_q.weight", TensorType::q8_0, {64, 3}, 2 * 34 * 3},   {"bias", TensorType::f16, {5}, 10},
    {"experts", TensorType::mxfp4, {32, 2, 3}, 17 * 6},               {"four", TensorType::bf16, {2, 3, 4, 5}, 240},
    {"large", TensorType::f32, {1100000}, 4400000},                    {"last", TensorType::i8, {7}, 7},
};

Writer tensors_writer() {
  Writer writer;
  unsigned seed = 0;
  for (const Planned& t : kTensors) writer.add({t.name, t.type, t.ne, pattern_source(seed++)});
  return writer;
}

void check_tensors(const File& file, bool mapped) {
  REQUIRE(file.tensors().size() == kTensors.size());
  for (unsigned i = 0; i < kTensors.size(); ++i) {
    const Planned& wanted = kTensors[i];
    const Tensor* tensor = file.find_tensor(wanted.name);
    INFO(wanted.name);
    REQUIRE(tensor != nullptr);
    CHECK(tensor == &file.tensors()[i]);
    CHECK(tensor->type == wanted.type);
    CHECK(tensor->bytes == wanted.bytes);
    REQUIRE(tensor->dims == static_cast<int>(wanted.ne.size()));
    for (std::size_t d = 0; d < 4; ++d) CHECK(tensor->ne[d] == (d < wanted.ne.size() ? wanted.ne[d] : 1));
    CHECK(tensor->offset % file.alignment() == 0);
    const auto view = file.mapped(*tensor);
    CHECK(view.size() == (mapped ? wanted.bytes : 0));
    CHECK(has_pattern(view, 0, i));
    std::vector<std::byte> all(wanted.bytes);
    REQUIRE(file.read(*tensor, 0, all).ok());
    CHECK(has_pattern(all, 0, i));
    std::vector<std::byte> end(1);
    REQUIRE(file.read(*tensor, wanted.bytes - 1, end).ok());
    CHECK(end[0] == all.back());
    CHECK(file.read(*tensor, wanted.bytes, {}).ok());
    const auto beyond = file.read(*tensor, wanted.bytes, end);
    REQUIRE(!beyond.ok());
    CHECK(contains(beyond.error().message, wanted.name));
    CHECK(!file.read(*tensor, std::numeric_limits<std::uint64_t>::max(), end).ok());
  }
  CHECK(file.find_tensor("absent") == nullptr);
  CHECK(file.find_tensor("") == nullptr);
}

template <class Number>
void set_both(Writer& writer, const std::string& name, Number low, Number high) {
  writer.set(name, high);
  writer.set(name + ".array", std::vector<Number>{low, high, Number(1)});
}

template <class Number>
void check_both(const File& file, const std::string& name, ValueType type, Number low, Number high) {
  INFO(name);
  const Value* value = file.find(name);
  REQUIRE(value != nullptr);
  CHECK(value->type() == type);
  CHECK(value->count() == 1);
  const Value* array = file.find(name + ".array");
  REQUIRE(array != nullptr);
  CHECK(array->type() == ValueType::array);
  CHECK(array->element_type() == type);
  REQUIRE(array->count() == 3);
  CHECK(!array->as_unsigned());
  CHECK(!array->as_string());
  const Number wanted[] = {low, high, Number(1)};
  for (std::uint64_t i = 0; i < 3; ++i) {
    const Value element = array->element(i);
    CHECK(element.type() == type);
    if constexpr (std::is_integral_v<Number>) {
      // Exactly the numbers that fit come out, in either sign.
      CHECK(element.as_signed().has_value() == (wanted[i] <= Number(0) || std::uint64_t(wanted[i]) <= std::uint64_t(INT64_MAX)));
      CHECK(element.as_unsigned().has_value() == (wanted[i] >= Number(0)));
      if (element.as_signed()) CHECK(Number(*element.as_signed()) == wanted[i]);
      if (element.as_unsigned()) CHECK(Number(*element.as_unsigned()) == wanted[i]);
    } else {
      CHECK(!element.as_signed());
      CHECK(!element.as_unsigned());
    }
    CHECK(element.as_float() == double(wanted[i]));
    CHECK(!element.as_string());
  }
}

template <class Number>
constexpr Number kLow = std::numeric_limits<Number>::lowest();
template <class Number>
constexpr Number kHigh = std::numeric_limits<Number>::max();

}  // namespace

TEST_CASE("every value type comes back", "[gguf]") {
  TempFolder folder;
  Writer writer;
  writer.set("general.architecture", std::string("llama"));
  set_both(writer, "u8", kLow<std::uint8_t>, kHigh<std::uint8_t>);
  set_both(writer, "i8", kLow<std::int8_t>, kHigh<std::int8_t>);
  set_both(writer, "u16", kLow<std::uint16_t>, kHigh<std::uint16_t>);
  set_both(writer, "i16", kLow<std::int16_t>, kHigh<std::int16_t>);
  set_both(writer, "u32", kLow<std::uint32_t>, kHigh<std::uint32_t>);
  set_both(writer, "i32", kLow<std::int32_t>, kHigh<std::int32_t>);
  set_both(writer, "u64", kLow<std::uint64_t>, kHigh<std::uint64_t>);
  set_both(writer, "i64", kLow<std::int64_t>, kHigh<std::int64_t>);
  set_both(writer, "f32", kLow<float>, kHigh<float>);
  set_both(writer, "f64", kLow<double>, kHigh<double>);
  writer.set("yes", true);
  writer.set("no", false);
  writer.set("flags", Flags{{1, 0, 1}});
  writer.set("text", std::string("caf\xc3\xa9 \0 \n end", 13));
  writer.set("empty", std::string());
  writer.set("texts", std::vector<std::string>{"a", "", std::string("\0b", 2), std::string(70000, 'x')});
  writer.set("none", std::vector<std::string>{});
  writer.set("no numbers", std::vector<float>{});
  writer.set("yes", true);  // replaced, in its place
  writer.set("text", std::string("second"));
  const std::string path = folder / "values.gguf";
  REQUIRE(writer.write(path).ok());
  CHECK(folder.names().size() == 1);

  const bool map = GENERATE(true, false);
  const auto opened = File::open(path, {.map = map});
  REQUIRE(opened.ok());
  const File& file = **opened;
  CHECK(file.version() == 3);
  CHECK(file.alignment() == 32);
  CHECK(file.shards() == 1);
  CHECK(file.path() == path);
  CHECK(file.file_bytes() == std::filesystem::file_size(path));
  CHECK(file.tensors().empty());
  REQUIRE(file.metadata().size() == 29);
  CHECK(file.metadata()[0].key == "general.architecture");
  CHECK(file.metadata()[21].key == "yes");
  check_both(file, "u8", ValueType::u8, kLow<std::uint8_t>, kHigh<std::uint8_t>);
  check_both(file, "i8", ValueType::i8, kLow<std::int8_t>, kHigh<std::int8_t>);
  check_both(file, "u16", ValueType::u16, kLow<std::uint16_t>, kHigh<std::uint16_t>);
  check_both(file, "i16", ValueType::i16, kLow<std::int16_t>, kHigh<std::int16_t>);
  check_both(file, "u32", ValueType::u32, kLow<std::uint32_t>, kHigh<std::uint32_t>);
  check_both(file, "i32", ValueType::i32, kLow<std::int32_t>, kHigh<std::int32_t>);
  check_both(file, "u64", ValueType::u64, kLow<std::uint64_t>, kHigh<std::uint64_t>);
  check_both(file, "i64", ValueType::i64, kLow<std::int64_t>, kHigh<std::int64_t>);
  check_both(file, "f32", ValueType::f32, kLow<float>, kHigh<float>);
  check_both(file, "f64", ValueType::f64, kLow<double>, kHigh<double>);

  CHECK(file.find("yes")->as_bool() == true);
  CHECK(file.find("no")->as_bool() == false);
  CHECK(!file.find("yes")->as_unsigned());
  CHECK(!file.find("u8")->as_bool());  // 255
  CHECK(file.find("u8.array")->element(0).as_bool() == false);
  CHECK(file.find("u8.array")->element(2).as_bool() == true);
  CHECK(file.find("flags")->element_type() == ValueType::boolean);
  CHECK(file.find("flags")->element(0).as_bool() == true);
  CHECK(file.find("flags")->element(1).as_bool() == false);
  CHECK(file.find("text")->as_string() == "second");
  CHECK(!file.find("text")->as_float());
  CHECK(file.find("empty")->as_string() == "");
  const Value* texts = file.find("texts");
  REQUIRE(texts->count() == 4);
  CHECK(texts->element_type() == ValueType::string);
  CHECK(texts->element(0).as_string() == "a");
  CHECK(texts->element(1).as_string() == "");
  CHECK(texts->element(2).as_string() == std::string_view("\0b", 2));
  CHECK(texts->element(3).as_string() == std::string(70000, 'x'));
  CHECK(file.find("none")->count() == 0);
  CHECK(file.find("no numbers")->count() == 0);
  CHECK(file.find("absent") == nullptr);
  CHECK(file.find("") == nullptr);
}

TEST_CASE("types have names", "[gguf]") {
  CHECK(std::string(name(ValueType::u8)) == "u8");
  CHECK(std::string(name(ValueType::boolean)) == "bool");
  CHECK(std::string(name(ValueType::array)) == "array");
  CHECK(std::string(name(static_cast<ValueType>(99))) == "?");
}

TEST_CASE("tensors come back", "[gguf]") {
  TempFolder folder;
  const std::uint32_t alignment = GENERATE(8u, 32u, 4096u);
  Writer writer = tensors_writer();
  writer.set_alignment(alignment);
  const std::string path = folder / "tensors.gguf";
  REQUIRE(writer.write(path).ok());
  for (bool map : {true, false}) {
    const auto opened = File::open(path, {.map = map});
    REQUIRE(opened.ok());
    CHECK((*opened)->alignment() == alignment);
    check_tensors(**opened, map);
  }
}

TEST_CASE("a header that is larger than the first read is read in full", "[gguf]") {
  TempFolder folder;
  Writer writer = tensors_writer();
  std::vector<std::string> tokens;
  for (int i = 0; i < 300000; ++i) tokens.push_back(str("token ", i));
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("scores", std::vector<float>(1000000, 0.5f));
  const std::string path = folder / "large.gguf";
  REQUIRE(writer.write(path).ok());
  for (bool map : {true, false}) {
    const auto opened = File::open(path, {.map = map});
    REQUIRE(opened.ok());
    const Value* value = (*opened)->find("tokenizer.ggml.tokens");
    REQUIRE(value->count() == tokens.size());
    bool same = true;
    for (std::uint64_t i = 0; i < tokens.size(); ++i) same = same && value->element(i).as_string() == tokens[i];
    CHECK(same);
    CHECK((*opened)->find("scores")->element(999999).as_float() == 0.5);
    check_tensors(**opened, map);
  }
}

TEST_CASE("a split model comes back as one", "[gguf]") {
  TempFolder folder;
  const std::uint64_t max_bytes = GENERATE(1ull, 20000ull, 4400000ull, 1ull << 40);
  Writer writer = tensors_writer();
  writer.set("general.name", std::string("split"));
  if (max_bytes == 20000) writer.set_alignment(64);
  const auto files = writer.write_split(folder / "model", {.max_bytes = max_bytes});
  REQUIRE(files.ok());
  const std::size_t count = files->size();
  CHECK(count == (max_bytes == 1 ? 8 : max_bytes == 20000 ? 3 : max_bytes == 4400000 ? 3 : 1));
  CHECK(folder.names().size() == count);
  const std::string first = folder / str("model-00001-of-0000", count, ".gguf");
  std::uint64_t bytes = 0;
  for (const auto& file : folder.names()) bytes += std::filesystem::file_size(folder / file);
  for (bool map : {true, false}) {
    const auto opened = File::open(first, {.map = map});
    INFO((opened ? "" : opened.error().message));
    REQUIRE(opened.ok());
    CHECK((*opened)->shards() == static_cast<int>(count));
    CHECK((*opened)->file_bytes() == bytes);
    CHECK((*opened)->find("general.name")->as_string() == "split");
    CHECK((*opened)->tensors().back().shard == static_cast<int>(count) - 1);
    check_tensors(**opened, map);
  }
}

TEST_CASE("metadata of an opened split or aligned file can be passed on", "[gguf]") {
  TempFolder folder;
  Writer writer = tensors_writer();
  writer.set("split.no", std::uint16_t{1});
  writer.set("split.count", std::uint16_t{7});
  writer.set("split.tensors.count", std::int32_t{99});
  writer.set("general.alignment", std::uint32_t{4096});
  const std::string path = folder / "tensors.gguf";
  REQUIRE(writer.write(path).ok());
  const auto opened = File::open(path);
  REQUIRE(opened.ok());
  CHECK((*opened)->metadata().empty());
  CHECK((*opened)->alignment() == 32);
  check_tensors(**opened, true);
  REQUIRE(writer.write_split(folder / "again", {.max_bytes = 20000}).ok());
  const auto split = File::open(folder / "again-00001-of-00003.gguf");
  REQUIRE(split.ok());
  check_tensors(**split, true);
}

TEST_CASE("the writer refuses what the reader would", "[gguf]") {
  TempFolder folder;
  const std::string path = folder / "out.gguf";
  const auto message = [&](const Writer& writer) {
    const auto single = writer.write(path);
    const auto split = writer.write_split(path, {.max_bytes = 100});
    REQUIRE(!single.ok());
    REQUIRE(!split.ok());
    CHECK(single.error().code == ErrorCode::invalid_argument);
    CHECK(split.error().message == single.error().message);
    CHECK(folder.names().empty());
    return single.error().message;
  };
  const auto with_tensor = [](WriteTensor tensor) {
    Writer writer;
    writer.add(std::move(tensor));
    return writer;
  };
  const TensorSource source = pattern_source(1);
  CHECK(contains(message(with_tensor({"t", TensorType::q4_k, {128}, source})), "tensor t: dimension 0 is 128"));
  CHECK(contains(message(with_tensor({"t", TensorType::f32, {}, source})), "0 dimensions"));
  CHECK(contains(message(with_tensor({"t", TensorType::f32, {1, 1, 1, 1, 1}, source})), "5 dimensions"));
  CHECK(contains(message(with_tensor({"t", TensorType::f32, {2, 0}, source})), "dimension 1 is 0"));
  CHECK(contains(message(with_tensor({"t", static_cast<TensorType>(77), {2}, source})), "77"));
  CHECK(contains(message(with_tensor({"", TensorType::f32, {2}, source})), "0 bytes"));
  CHECK(contains(message(with_tensor({std::string(65, 'n'), TensorType::f32, {2}, source})), "65 bytes"));
  CHECK(contains(message(with_tensor({"t", TensorType::f32, {2}, {}})), "no source"));
  CHECK(contains(message(with_tensor({"t", TensorType::i8, {1ull << 40, 1ull << 40}, source})), "2^63"));
  CHECK(contains(message(with_tensor({"t", TensorType::i8, {(1ull << 62) + 1}, source})), "2^62"));
  Writer twice = with_tensor({"same", TensorType::f32, {2}, source});
  twice.add({"same", TensorType::f16, {2}, source});
  CHECK(contains(message(twice), "tensor same: was added twice"));
  for (std::uint32_t alignment : {0u, 4u, 48u, 1u << 21, 0x80000000u}) {
    Writer writer;
    writer.set_alignment(alignment);
    CHECK(contains(message(writer), str("alignment ", alignment)));
  }
  Writer empty_key;
  empty_key.set("", true);
  CHECK(contains(message(empty_key), "0 bytes"));
  Writer long_key;
  long_key.set(std::string(65536, 'k'), true);
  CHECK(contains(message(long_key), "65536 bytes"));
  Writer flags;
  flags.set("f", Flags{{0, 2}});
  CHECK(contains(message(flags), "key f: a boolean must be 0 or 1"));
}

TEST_CASE("a cancelled or failed write leaves the old file and nothing else", "[gguf]") {
  TempFolder folder;
  const std::string path = folder.put("out.gguf", "old");
  Writer writer = tensors_writer();
  std::uint64_t last = 0;
  const auto stop = [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done > last);
    CHECK(done <= total);
    last = done;
    return done < 10000;
  };
  const auto cancelled = writer.write(path, stop);
  REQUIRE(!cancelled.ok());
  CHECK(cancelled.error().code == ErrorCode::cancelled);
  last = 0;
  REQUIRE(!writer.write_split(folder / "out", {.max_bytes = 20000}, [&](std::uint64_t done, std::uint64_t total) { return done < total; }).ok());
  writer.add({"broken", TensorType::f32, {4}, [](std::uint64_t, std::span<std::byte>) -> Result<void> {
                return fail(ErrorCode::io, "the source ran dry");
              }});
  const auto broken = writer.write(path);
  REQUIRE(!broken.ok());
  CHECK(broken.error().code == ErrorCode::io);
  CHECK(contains(broken.error().message, "tensor broken: the source ran dry"));
  CHECK(folder.names() == std::vector<std::string>{"out.gguf"});
  CHECK(test::read_text(path) == "old");
}

TEST_CASE("progress reaches the end", "[gguf]") {
  TempFolder folder;
  std::uint64_t wanted = 0, last = 0, announced = 0;
  for (const Planned& t : kTensors) wanted += t.bytes;
  const auto note = [&](std::uint64_t done, std::uint64_t total) {
    last = done;
    announced = total;
    return true;
  };
  REQUIRE(tensors_writer().write(folder / "a.gguf", note).ok());
  CHECK(last == wanted);
  CHECK(announced == wanted);
  REQUIRE(tensors_writer().write_split(folder / "b", {.max_bytes = 5000}, note).ok());
  CHECK(last == wanted);
}
