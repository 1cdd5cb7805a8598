// Owns: telling one model or adapter file from another. Knows GGUF.
#include <algorithm>
#include <bit>

#include "base/checksum.h"
#include "runtime/state.h"

namespace strata::runtime {

namespace {

void add_text(Checksum& sum, std::string_view text) {
  sum.add(text.size());
  sum.add(std::as_bytes(std::span(text.data(), text.size())));
}

void add_scalar(Checksum& sum, const gguf::Value& value) {
  if (auto text = value.as_string()) return add_text(sum, *text);
  if (auto flag = value.as_bool(); flag && value.type() == gguf::ValueType::boolean) return sum.add(std::uint64_t{*flag});
  if (auto natural = value.as_unsigned()) return sum.add(*natural);
  if (auto integer = value.as_signed()) return sum.add(static_cast<std::uint64_t>(*integer));
  sum.add(std::bit_cast<std::uint64_t>(value.as_float().value_or(0)));
}

}  // namespace

Result<std::uint64_t> fingerprint(const gguf::File& file) {
  constexpr std::uint64_t kSample = 64;  // bytes of each tensor: models tuned from one another differ there
  Checksum sum;
  for (const gguf::Entry& entry : file.metadata()) {
    if (entry.key.starts_with("split.") || entry.key == "general.alignment") continue;  // of the file, not the model
    add_text(sum, entry.key);
    sum.add(static_cast<std::uint64_t>(entry.value.type()));
    if (entry.value.type() != gguf::ValueType::array) {
      add_scalar(sum, entry.value);
      continue;
    }
    sum.add(entry.value.count());
    for (std::uint64_t i = 0; i < entry.value.count(); ++i) add_scalar(sum, entry.value.element(i));
  }
  std::byte sample[kSample];
  for (const gguf::Tensor& tensor : file.tensors()) {
    add_text(sum, tensor.name);
    sum.add(static_cast<std::uint64_t>(tensor.type));
    for (std::uint64_t side : tensor.ne) sum.add(side);
    const auto part = std::span(sample).first(static_cast<std::size_t>(std::min(kSample, tensor.bytes)));
    if (auto read = file.read(tensor, 0, part); !read) return read.error();
    sum.add(part);
  }
  return sum.value();
}

}  // namespace strata::runtime
