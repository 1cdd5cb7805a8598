// Owns: taking weights in, and refusing those without a kernel. Computes nothing.
#include "backend/cpu/weight.h"

#include <optional>

#include "base/checked.h"
#include "base/text.h"

namespace strata::cpu {

namespace {

/// Kernels read float32 and the scales of blocks where they lie.
constexpr std::uintptr_t kAlignment = 4;
constexpr std::size_t kHuge = std::size_t{2} << 20;

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

Result<std::unique_ptr<HostWeight>> HostWeight::make(const graph::WeightInfo& info,
                                                     const backend::WeightSource& source) {
  auto bytes = weight_bytes(info);
  if (!bytes) return bytes.error();
  if (source.bytes < *bytes)
    return fail(ErrorCode::bad_file, info.name, ": ", source.bytes, " bytes where its shape needs ", *bytes);
  auto weight = std::make_unique<HostWeight>();
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

}  // namespace strata::cpu
