// Owns: reading and walking the double array.
#include "text/charsmap.h"

#include <cstring>

#include "base/text.h"

namespace strata::text {

namespace {

// A unit: bits 0..7 the byte that leads to it, bit 8 "a text ends here", bit 9 a coarser offset, bits 10..30 the offset to
// its children, bit 31 "a value". A value unit holds the place of the replacement in its other bits.
constexpr std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200u) >> 6); }
constexpr std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFu; }
constexpr bool ends_text(std::uint32_t unit) { return unit & 0x100u; }
constexpr std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFu; }

std::uint32_t little_endian(const char* p) {
  auto byte = [p](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(p[i])) << (8 * i); };
  return byte(0) | byte(1) | byte(2) | byte(3);
}

}  // namespace

Result<Charsmap> Charsmap::create(std::string_view bytes) {
  auto bad = [&](const auto&... why) { return fail(ErrorCode::bad_file, "tokenizer.ggml.precompiled_charsmap: ", why...); };
  Charsmap out;
  if (bytes.size() < 4) return bad(bytes.size(), " bytes hold no length");
  std::uint64_t size = little_endian(bytes.data());
  if (size % 4 != 0 || size == 0 || size + 4 >= bytes.size())
    return bad("a table of ", size, " bytes does not fit in ", bytes.size());
  for (std::uint64_t at = 4; at < 4 + size; at += 4) out.units_.push_back(little_endian(bytes.data() + at));
  out.replacements_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(4 + size), bytes.end());
  if (out.replacements_.back() != 0) return bad("the last replacement has no end");
  return out;
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match best;
  if (units_.empty()) return best;
  std::size_t at = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size() && text[i] != 0; ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (at >= units_.size() || label_of(units_[at]) != byte) break;
    bool ends = ends_text(units_[at]);
    at ^= offset_of(units_[at]);
    if (at >= units_.size()) break;
    if (!ends) continue;
    std::size_t place = value_of(units_[at]);
    if (place < replacements_.size()) best = {i + 1, std::string_view(&replacements_[place])};  // ended by a zero byte
  }
  return best;
}

}  // namespace strata::text
