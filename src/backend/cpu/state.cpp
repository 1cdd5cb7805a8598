// Owns: the layout of pages and slots, and their memory. Knows no operation.
#include "backend/cpu/state.h"

#include <cstring>
#include <new>
#include <optional>

#include "base/checked.h"
#include "base/text.h"

namespace strata::cpu {

namespace {

constexpr std::uint64_t kAlignment = 64;
/// Slabs of at least this size are worth huge pages.
constexpr std::size_t kHuge = std::size_t{2} << 20;

/// Lays pieces one behind the other, each aligned; nothing once the sum does not fit.
class Offsets {
 public:
  /// Where a piece of a * b * c * d bytes goes.
  std::size_t place(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    std::uint64_t at = end_.value_or(0);
    std::optional<std::uint64_t> bytes = a;
    for (std::uint64_t factor : {b, c, d})
      if (bytes) bytes = checked_multiply(*bytes, factor);
    if (bytes) bytes = checked_align(*bytes, kAlignment);
    end_ = bytes && end_ ? checked_add(at, *bytes) : std::nullopt;
    return static_cast<std::size_t>(at);
  }
  std::optional<std::uint64_t> end() const { return end_; }

 private:
  std::optional<std::uint64_t> end_ = 0;
};

bool inside(int i, int count) { return i >= 0 && i < count; }

}  // namespace

Result<std::unique_ptr<State>> State::make(const backend::StateLayout& layout) {
  if (layout.page_tokens < 1)
    return fail(ErrorCode::invalid_argument, "cpu: pages of ", layout.page_tokens, " tokens; give at least one");
  std::unique_ptr<State> state(new State);
  state->type_ = layout.type;
  state->page_tokens_ = layout.page_tokens;
  const std::uint64_t tokens = static_cast<std::uint64_t>(layout.page_tokens);
  const TypeInfo& type = *type_info(backend::cache_type(layout.type));
  Offsets page, slot;
  for (const graph::KvLayer& kv : layout.kv) {
    if (kv.kv_heads < 0 || kv.k_dim < 0 || kv.v_dim < 0)
      return fail(ErrorCode::invalid_argument, "cpu: the cache of layer ", kv.layer, " has a negative size");
    auto heads = static_cast<std::uint64_t>(kv.kv_heads), k = static_cast<std::uint64_t>(kv.k_dim),
         v = static_cast<std::uint64_t>(kv.v_dim);
    if (k % type.block != 0 || v % type.block != 0)
      return fail(ErrorCode::unsupported, "cpu: keys of ", k, " and values of ", v, " elements in layer ", kv.layer,
                  " are no whole blocks of ", type.block, " for a ", type.name, " cache; use f16");
    Layer layer;
    layer.keys = page.place(heads, tokens, k / type.block, type.bytes);
    layer.values = page.place(heads, tokens, v / type.block, type.bytes);
    layer.key_row = k / type.block * type.bytes;
    layer.value_row = v / type.block * type.bytes;
    state->layers_.push_back(layer);
    state->page_parts_.push_back({layer.keys, heads * tokens * layer.key_row});
    state->page_parts_.push_back({layer.values, heads * tokens * layer.value_row});
  }
  for (const graph::RecurrentState& recurrent : layout.recurrent) {
    state->recurrent_.push_back(slot.place(recurrent.floats, sizeof(float), 1, 1));
    state->slot_parts_.push_back({state->recurrent_.back(), recurrent.floats * sizeof(float)});
  }
  if (!page.end() || !slot.end())
    return fail(ErrorCode::out_of_memory, "cpu: a page of ", layout.page_tokens, " tokens does not fit in memory");
  state->pages_.bytes = static_cast<std::size_t>(*page.end());
  state->slots_.bytes = static_cast<std::size_t>(*slot.end());
  return state;
}

Result<void> State::Pool::grow(int count, const char* what) {
  if (count <= static_cast<int>(at.size())) return {};
  const std::size_t more = static_cast<std::size_t>(count) - at.size();
  const auto total = checked_multiply(more, bytes);
  if (!total) return fail(ErrorCode::out_of_memory, "cpu: ", count, " ", what, " of ", bytes, " bytes do not fit");
  auto slab = platform::Pages::allocate(static_cast<std::size_t>(*total), *total >= kHuge);
  if (!slab) return fail(slab.error().code, "cpu: ", count, " ", what, ": ", slab.error().message);
  try {
    slabs.reserve(slabs.size() + 1);
    at.reserve(static_cast<std::size_t>(count));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "cpu: no memory to number ", count, " ", what);
  }
  for (std::size_t i = 0; i < more; ++i) at.push_back(slab->data() + i * bytes);
  slabs.push_back(*std::move(slab));
  return {};
}

Result<void> State::Pool::copy(int from, int to, const char* what) {
  const int count = static_cast<int>(at.size());
  if (!inside(from, count) || !inside(to, count))
    return fail(ErrorCode::invalid_argument, "cpu: cannot copy ", what, " ", from, " to ", to, " of ", count);
  if (from != to && bytes > 0)
    std::memcpy(at[static_cast<std::size_t>(to)], at[static_cast<std::size_t>(from)], bytes);
  return {};
}

Result<void> State::reserve(int pages, int slots) {
  if (auto grown = pages_.grow(pages, "pages"); !grown) return grown;
  return slots_.grow(slots, "slots");
}

Result<void> State::copy_page(int from, int to) { return pages_.copy(from, to, "page"); }
Result<void> State::copy_slot(int from, int to) { return slots_.copy(from, to, "slot"); }

Result<void> State::clear_slot(int slot) {
  if (!inside(slot, slots()))
    return fail(ErrorCode::invalid_argument, "cpu: cannot clear slot ", slot, " of ", slots());
  if (slots_.bytes > 0) std::memset(slots_.at[static_cast<std::size_t>(slot)], 0, slots_.bytes);
  return {};
}

template <class Copy>
Result<void> State::for_parts(backend::Piece kind, int index, std::size_t given, Copy copy) const {
  const bool page = kind == backend::Piece::page;
  const Pool& pool = page ? pages_ : slots_;
  const std::vector<Part>& parts = page ? page_parts_ : slot_parts_;
  std::size_t needed = 0;
  for (const Part& part : parts) needed += part.bytes;
  if (!inside(index, static_cast<int>(pool.at.size())) || given != needed)
    return fail(ErrorCode::invalid_argument, "cpu: cannot copy ", given, " bytes of ", page ? "page " : "slot ", index,
                "; there are ", pool.at.size(), " of ", needed, " bytes");
  std::size_t at = 0;
  for (const Part& part : parts) {
    if (part.bytes > 0) copy(pool.at[static_cast<std::size_t>(index)] + part.offset, at, part.bytes);
    at += part.bytes;
  }
  return {};
}

Result<void> State::read(backend::Piece kind, int index, std::span<std::byte> bytes) {
  return for_parts(kind, index, bytes.size(), [bytes](const std::byte* piece, std::size_t at, std::size_t count) {
    std::memcpy(bytes.data() + at, piece, count);
  });
}

Result<void> State::write(backend::Piece kind, int index, std::span<const std::byte> bytes) {
  return for_parts(kind, index, bytes.size(), [bytes](std::byte* piece, std::size_t at, std::size_t count) {
    std::memcpy(piece, bytes.data() + at, count);
  });
}

std::uint64_t State::bytes() const {
  return pages_.at.size() * static_cast<std::uint64_t>(pages_.bytes) +
         slots_.at.size() * static_cast<std::uint64_t>(slots_.bytes);
}

}  // namespace strata::cpu
