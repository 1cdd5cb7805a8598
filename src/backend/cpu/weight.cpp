// Owns: taking weights in, and refusing those without a kernel. Computes nothing.
#include "backend/cpu/weight.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>
#include <optional>
#include <vector>

#include "backend/cpu/deal.h"
#include "backend/host_memory.h"
#include "base/checked.h"
#include "base/text.h"

namespace strata::cpu {

namespace {

/// Kernels read float32 and the scales of blocks where they lie.
constexpr std::uintptr_t kAlignment = 4;
constexpr std::size_t kHuge = std::size_t{2} << 20;
/// Bytes read at once: where they are laid out anew, and where they are not. A weight of one piece is not worth a job.
constexpr std::size_t kPiece = std::size_t{512} << 10, kLargePiece = std::size_t{16} << 20;
/// Parts of a weight for each thread.
constexpr int kGrain = 4;

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
                                                     const backend::WeightSource& source, Team& team) {
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
    if (auto filled = weight->fill(info, source, source.room.data(), team); !filled) return filled.error();
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
  if (auto filled = weight->fill(info, source, weight->copy_.data(), team); !filled) return filled.error();
  return weight;
}

/// What threads share while they take a weight in.
struct HostWeight::Filling {
  const HostWeight& weight;
  const graph::WeightInfo& info;
  const backend::WeightSource& source;
  std::byte* to;
  std::size_t units;  ///< of rows, of all matrices
  std::mutex mutex;
  Result<void> result;               ///< guarded by the mutex: the first failure
  std::atomic<bool> failed = false;  ///< the others need not go on

  /// The row that a unit begins with; units begin anew with every matrix.
  std::size_t row(std::size_t unit) const {
    const std::size_t each = row_units(weight.rows_);
    return unit / each * weight.rows_ + unit % each * kRowUnit;
  }
  void take(Share share) {
    if (failed) return;
    const Range mine = share.of(units);
    auto filled = weight.fill_rows(*this, row(mine.begin), row(mine.end));
    if (filled) return;
    failed = true;
    std::lock_guard lock(mutex);
    if (result) result = std::move(filled);
  }
};

Result<void> HostWeight::fill(const graph::WeightInfo& info, const backend::WeightSource& source, std::byte* to, Team& team) {
  assert(!in_panels() || kRowUnit % static_cast<std::size_t>(panel_.rows) == 0);  // parts of a job end with panels
  data_ = to;
  const auto matrices = static_cast<std::size_t>(info.ne[2] * info.ne[3]);
  Filling filling{*this, info, source, to, matrices * row_units(rows_), {}, {}};
  if (matrices * rows_ * stride_ <= kPiece) return fill_rows(filling, 0, matrices * rows_);
  if (auto started = team.start(); !started) return started;
  const int parts = team.parts(kGrain);
  team.run({&parts, 1}, [](void* context, std::size_t, Share share) { static_cast<Filling*>(context)->take(share); }, &filling);
  return std::move(filling.result);
}

/// Rows [first, end) of all matrices'. Reads some panels at a time, so that they are still in the cache when they are laid out.
Result<void> HostWeight::fill_rows(const Filling& filling, std::size_t first, std::size_t end) const {
  const std::size_t unit = in_panels() ? static_cast<std::size_t>(panel_.rows) : 1;
  const std::size_t some = std::max<std::size_t>((in_panels() ? kPiece : kLargePiece) / (stride_ * unit), 1) * unit;
  std::vector<std::byte> piece;
  const std::size_t most = in_panels() ? std::min(some, end - first) * stride_ : 0;
  if (auto grown = backend::grow(piece, most, std::byte{0}, filling.info.name); !grown) return grown;
  while (first < end) {
    const std::size_t count = std::min({some, end - first, rows_ - first % rows_});
    std::byte* to = filling.to + first * stride_;
    const std::span<std::byte> read(in_panels() ? piece.data() : to, count * stride_);
    if (auto done = filling.source.read(first * stride_, read); !done) return done;
    std::size_t r = 0;
    for (; in_panels() && r + unit <= count; r += unit)
      panel_.make(piece.data() + r * stride_, stride_, k_, to + r * stride_);
    if (in_panels()) std::copy_n(piece.data() + r * stride_, (count - r) * stride_, to + r * stride_);
    first += count;
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
