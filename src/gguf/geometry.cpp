// Owns: the rules of geometry.h.
#include "gguf/geometry.h"

#include <cstddef>
#include <limits>

#include "base/checked.h"
#include "base/text.h"

namespace strata::gguf {

Result<std::uint64_t> tensor_bytes(TensorType type, std::span<const std::uint64_t> ne) {
  const TypeInfo* info = type_info(type);
  if (info == nullptr)
    return fail(ErrorCode::unsupported, "type number ", static_cast<std::uint32_t>(type), " names no known tensor type");
  if (ne.empty() || ne.size() > kMaxDims)
    return fail(ErrorCode::bad_file, "has ", ne.size(), " dimensions, allowed are 1 to ", kMaxDims);
  // Counts above 2^63 would turn negative in the many programs that keep them signed.
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t elements = 1;
  for (std::size_t d = 0; d < ne.size(); ++d) {
    if (ne[d] == 0) return fail(ErrorCode::bad_file, "dimension ", d, " is 0");
    const auto product = checked_multiply(elements, ne[d]);
    if (!product || *product > kMax) return fail(ErrorCode::bad_file, "has more than 2^63 elements");
    elements = *product;
  }
  if (ne[0] % info->block != 0)
    return fail(ErrorCode::bad_file, "dimension 0 is ", ne[0], ", which is not a multiple of the ", info->block,
                " elements in a block of ", info->name);
  const auto bytes = checked_multiply(elements / info->block, info->bytes);
  if (!bytes || *bytes > kMax) return fail(ErrorCode::bad_file, "has more than 2^63 bytes");
  return *bytes;
}

std::string shard_suffix(std::uint64_t shard, std::uint64_t count) {
  const auto digits = [](std::uint64_t number) {
    std::string text = str(number);
    return text.size() < 5 ? std::string(5 - text.size(), '0') + text : text;
  };
  return str('-', digits(shard + 1), "-of-", digits(count), ".gguf");
}

std::string printable(std::string_view name) {
  constexpr std::size_t kShown = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : name) {
    if (out.size() >= kShown) return out + "...";
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\')
      out += c;
    else
      (((out += "\\x") += kHex[byte >> 4]) += kHex[byte & 15]);
  }
  return out;
}

}  // namespace strata::gguf
