// Owns: tests that real and conformance model files open, mapped and unmapped alike. Knows the shared data's folders.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "gguf/bytes.h"
#include "gguf/writer.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::test;

namespace {

bool same_value(const gguf::Value& a, const gguf::Value& b) {
  if (a.type() != b.type() || a.count() != b.count() || a.element_type() != b.element_type()) return false;
  if (a.type() == gguf::ValueType::array) {
    for (std::uint64_t i = 0; i < a.count(); ++i)
      if (!same_value(a.element(i), b.element(i))) return false;
    return true;
  }
  const auto fa = a.as_float(), fb = b.as_float();
  const bool same_float = fa.has_value() == fb.has_value() && (!fa || *fa == *fb || (*fa != *fa && *fb != *fb));
  return same_float && a.as_unsigned() == b.as_unsigned() && a.as_signed() == b.as_signed() && a.as_bool() == b.as_bool() &&
         a.as_string() == b.as_string();
}

void compare(const gguf::File& mapped, const gguf::File& plain) {
  CHECK(mapped.alignment() == plain.alignment());
  REQUIRE(mapped.metadata().size() == plain.metadata().size());
  for (std::size_t i = 0; i < mapped.metadata().size(); ++i) {
    INFO(std::string(mapped.metadata()[i].key));
    CHECK(mapped.metadata()[i].key == plain.metadata()[i].key);
    CHECK(same_value(mapped.metadata()[i].value, plain.metadata()[i].value));
  }
  REQUIRE(mapped.tensors().size() == plain.tensors().size());
  for (std::size_t i = 0; i < mapped.tensors().size(); ++i) {
    const gguf::Tensor& a = mapped.tensors()[i];
    const gguf::Tensor& b = plain.tensors()[i];
    INFO(std::string(a.name));
    CHECK(a.name == b.name);
    CHECK(a.offset == b.offset);
    REQUIRE(a.bytes == b.bytes);
    std::vector<std::byte> bytes(b.bytes);
    REQUIRE(plain.read(b, 0, bytes).ok());
    const auto view = mapped.mapped(a);
    CHECK(std::equal(view.begin(), view.end(), bytes.begin(), bytes.end()));
    CHECK(plain.mapped(b).empty());
  }
}

}  // namespace

TEST_CASE("conformance and real models open", "[gguf][shared]") {
  for (const char* relative : {"conformance/models", "conformance/vocab", "conformance/quant-models", "models"}) {
    const auto folder = shared(relative);
    if (!folder) continue;
    int opened = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
      if (entry.path().extension() != ".gguf") continue;
      const std::string path = entry.path().string();
      INFO(path);
      const auto mapped = gguf::File::open(path, {.map = true});
      const auto plain = gguf::File::open(path, {.map = false});
      if (!mapped) FAIL(mapped.error().message);
      REQUIRE(plain.ok());
      REQUIRE((*mapped)->find("general.architecture") != nullptr);
      compare(**mapped, **plain);
      ++opened;
    }
    INFO(*folder);
    CHECK(opened > 0);
  }
}

// These files come from other writers, so equal bytes prove layout, types, order and padding at once.
TEST_CASE("a model written again is the same file", "[gguf][shared]") {
  TempFolder scratch;
  for (const char* relative : {"conformance/models", "conformance/vocab", "models/stories260k"}) {
    const auto folder = shared(relative);
    if (!folder) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
      if (entry.path().extension() != ".gguf") continue;
      const std::string path = entry.path().string();
      INFO(path);
      const auto file = gguf::File::open(path);
      REQUIRE(file.ok());
      gguf::Writer writer;
      for (const gguf::Entry& item : (*file)->metadata()) writer.set(std::string(item.key), gguf::copy(item.value));
      for (const gguf::Tensor& tensor : (*file)->tensors())
        writer.add({std::string(tensor.name), tensor.type, {tensor.ne.begin(), tensor.ne.begin() + tensor.dims},
                    [&](std::uint64_t offset, std::span<std::byte> out) { return (*file)->read(tensor, offset, out); }});
      const std::string again = scratch / "again.gguf";
      REQUIRE(writer.write(again).ok());
      std::string wanted = read_text(path);
      const std::string got = read_text(again);
      // Writers differ in whether a header that no data follow is padded; strata pads.
      if ((*file)->tensors().empty()) wanted.resize((wanted.size() + 31) / 32 * 32, '\0');
      INFO("sizes: " << wanted.size() << " and " << got.size());
      const auto difference = std::mismatch(wanted.begin(), wanted.end(), got.begin(), got.end());
      CHECK(difference.first - wanted.begin() == static_cast<std::ptrdiff_t>(wanted.size()));
      CHECK(wanted.size() == got.size());
    }
  }
}
