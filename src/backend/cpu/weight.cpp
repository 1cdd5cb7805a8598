// Owns: taking weights in, and refusing those without a kernel. Computes nothing.
#include "backend/cpu/weight.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "backend/host_memory.h"
#include "base/checked.h"
#include "base/text.h"

namespace strata::cpu {

namespace {

/// Kernels read float32 and the scales of blocks where they lie.
constexpr std::uintptr_t kAlignment = 4;
constexpr std::size_t kHuge = std::size_t{2} << 20;
/// Bytes read at once: where they are laid out anew, and where they are not.
constexpr std::size_t kPiece = std::size_t{512} << 10, kLargePiece = std::size_t{16} << 20;

}  // namespace

Result<std::uint64_t> weight_bytes(const graph::WeightInfo& info) {
  const TypeInfo* type = type_info(info.type);
  if (!type) return fail(ErrorCode::unsupported, info.name, ": unknown tensor type");
  if (info.ne[0] % type->block != 0)
    return fail(ErrorCode::bad_file, info.name, ": a row of ", info.ne[0], " elements is not a multiple of the ",
                type->block, " of a ", type->name, " block");
  std::optional<std::uint64_t> bytes = type->bytes;
  for (std::uint64_t factor : {info.ne[0] / type->block, info.ne[1], info.ne[2], info.ne[3]})
    if (bytes) bytes = checked_multiply(*bytes, factor);
  if (!bytes || *bytes == 0)
    return fail(ErrorCode::bad_file, info.name, ": shape ", graph::shape(info), " is empty or overflows 64 bits");
  return *bytes;
}

Result<void> supports(const kernels::IsaKernels& isa, const graph::Graph& graph, const graph::Node& node) {
  for (int id : node.weight) {
    if (id < 0) continue;
    const graph::WeightInfo& weight = graph.weights[static_cast<std::size_t>(id)];
    if (!kernels::find_format(isa, weight.type))
      return fail(ErrorCode::unsupported, weight.name, ": type ", type_name(weight.type),
                  " has no CPU kernel; requantise it or run with a device that has one");
    if (auto bytes = weight_bytes(weight); !bytes) return bytes.error();
  }
  return {};
}

Result<std::unique_ptr<HostWeight>> HostWeight::make(const kernels::IsaKernels& isa, const graph::WeightInfo& info,
                                                     const backend::WeightSource& source) {
  auto bytes = weight_bytes(info);
  if (!bytes) return bytes.error();
  if (source.bytes < *bytes)
    return fail(ErrorCode::bad_file, info.name, ": ", source.bytes, " bytes where its shape needs ", *bytes);
  auto weight = std::make_unique<HostWeight>();
  weight->rows_ = info.ne[1];
  weight->stride_ = strata::row_bytes(info.type, info.ne[0]);
  weight->k_ = static_cast<int>(info.ne[0]);
  if (source.room.size() >= *bytes && source.read) {
    if (const kernels::FormatKernels* format = kernels::find_format(isa, info.type))
      if (info.ne[1] >= static_cast<std::uint64_t>(format->panel.rows)) weight->panel_ = format->panel;
    weight->data_ = source.room.data();
    if (auto filled = weight->fill(info, source); !filled) return filled.error();
    return weight;
  }
  if (source.mapped.size() >= *bytes && reinterpret_cast<std::uintptr_t>(source.mapped.data()) % kAlignment == 0) {
    weight->data_ = source.mapped.data();
    weight->owner_ = source.owner;
    return weight;
  }
  if (!source.read)
    return fail(ErrorCode::invalid_argument, info.name, ": its source has neither a mapping that can be used nor a reader");
  auto pages = platform::Pages::allocate(static_cast<std::size_t>(*bytes), *bytes >= kHuge);
  if (!pages) return fail(pages.error().code, info.name, ": ", pages.error().message);
  weight->copy_ = *std::move(pages);
  weight->data_ = weight->copy_.data();
  if (auto done = source.read(0, {weight->copy_.data(), weight->copy_.size()}); !done) return done.error();
  return weight;
}

/// Reads some panels at a time, so that they are still in the cache when they are laid out.
Result<void> HostWeight::fill(const graph::WeightInfo& info, const backend::WeightSource& source) {
  const std::uint64_t matrices = info.ne[2] * info.ne[3], unit = in_panels() ? static_cast<std::uint64_t>(panel_.rows) : 1;
  const std::size_t some = std::max<std::size_t>(kPiece / (stride_ * unit), 1) * unit;
  if (!in_panels()) {
    for (std::uint64_t at = 0; at < source.bytes; at += kLargePiece) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kLargePiece, source.bytes - at));
      if (auto read = source.read(at, source.room.subspan(static_cast<std::size_t>(at), count)); !read) return read;
    }
    return {};
  }
  std::vector<std::byte> piece;
  if (auto grown = backend::grow(piece, std::min(some, rows_) * stride_, std::byte{0}, info.name); !grown) return grown;
  for (std::uint64_t first = 0; first < matrices * rows_; first += rows_)
    for (std::size_t row = 0; row < rows_; row += some) {
      const std::size_t count = std::min(some, rows_ - row), begin = static_cast<std::size_t>(first + row) * stride_;
      if (auto read = source.read(begin, std::span(piece).first(count * stride_)); !read) return read;
      std::byte* to = source.room.data() + begin;
      std::size_t r = 0;
      for (; r + unit <= count; r += unit) panel_.make(piece.data() + r * stride_, stride_, k_, to + r * stride_);
      std::copy_n(piece.data() + r * stride_, (count - r) * stride_, to + r * stride_);
    }
  return {};
}

const std::byte* HostWeight::row(std::size_t r, std::byte* scratch) const {
  if (!in_panels() || r % rows_ >= panel_rows()) return data_ + r * stride_;
  const std::size_t in_panel = r % rows_ % static_cast<std::size_t>(panel_.rows);
  panel_.extract(data_ + (r - in_panel) * stride_, static_cast<int>(in_panel), k_, scratch);
  return scratch;
}

}  // namespace strata::cpu
